package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage"
)

// eventTypes is what the commands below event-types share.
type eventTypes struct {
	*app
	api *apiFlags
}

const eventTypesAPI = "/api/v1/event-types"

func newEventTypesCommand(a *app) *cobra.Command {
	e := &eventTypes{app: a}
	cmd := &cobra.Command{
		Use:   "event-types",
		Short: "Describe event types, and check events against their schemas",
		Long: `An event type has an owner, a description, a JSON Schema of event_data, and a mode: off
checks nothing, warn tells in the answer what is wrong with an event, enforce refuses it.
Each change is a new version.

These commands talk to a running server. One with tokens wants the role read to list, show
and check, write to put, and admin to put a type that enforces.`,
		Example: `  datastorage event-types list
  datastorage event-types show gateway.signal.received
  datastorage event-types put refund.json --dry-run
  datastorage event-types check events.ndjson`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	e.api = addAPIFlags(cmd)
	cmd.AddCommand(e.listCommand(), e.showCommand(), e.putCommand(), e.checkCommand())
	return cmd
}

func (e *eventTypes) call(cmd *cobra.Command, method, path string, body any) ([]byte, error) {
	client, err := e.client(e.api)
	if err != nil {
		return nil, err
	}
	return client.call(cmd.Context(), method, eventTypesAPI+path, body)
}

// eventTypeAnswer is an event type as the API describes it.
type eventTypeAnswer struct {
	EventType   string          `json:"event_type"`
	Version     int64           `json:"version"`
	Mode        string          `json:"mode"`
	Owner       string          `json:"owner"`
	Description string          `json:"description"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Schema      json.RawMessage `json:"schema"`
}

func (e *eventTypes) listCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the event types",
		Long: `Lists the newest version of every event type that is known; version 0 is built in. On a
terminal it is a table, elsewhere lines with tabs.`,
		Example: `  datastorage event-types list
  datastorage event-types list --json | jq -r '.event_types[] | select(.mode != "off") | .event_type'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := e.call(cmd, http.MethodGet, "", nil)
			if err != nil {
				return err
			}
			if asJSON {
				return e.printLine(answer)
			}
			types, err := decodeEventTypes(answer)
			if err != nil {
				return err
			}
			rows := make([][]string, len(types))
			for i, t := range types {
				rows[i] = []string{printable(t.EventType), strconv.FormatInt(t.Version, 10), t.Mode, printable(t.Owner), printable(t.Description)}
			}
			return printRows(e.stdout, []string{"event_type", "version", "mode", "owner", "description"}, rows)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the server's answer as JSON")
	return cmd
}

func decodeEventTypes(answer []byte) ([]eventTypeAnswer, error) {
	var list struct {
		EventTypes []eventTypeAnswer `json:"event_types"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return list.EventTypes, nil
}

func (e *eventTypes) printLine(answer []byte) error {
	_, err := e.stdout.Write(append(bytes.TrimSpace(answer), '\n'))
	return err
}

func (e *eventTypes) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show EVENT_TYPE",
		Short: "Show an event type with its schema and versions",
		Long:  `Prints an event type as JSON, which put takes when it is edited.`,
		Example: `  datastorage event-types show gateway.signal.received
  datastorage event-types show payments.refund.issued --version 1 | jq .schema`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New(`"datastorage event-types show" takes one event type ("datastorage event-types list" lists them)`)
			}
			return nil
		},
	}
	version := cmd.Flags().Int64("version", -1, "an earlier version; 0 is what is built in")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := "/" + url.PathEscape(args[0])
		if cmd.Flags().Changed("version") {
			path += "?version=" + strconv.FormatInt(*version, 10)
		}
		answer, err := e.call(cmd, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, answer, "", "  "); err != nil {
			return fmt.Errorf("the server's answer cannot be read: %w", err)
		}
		return e.printLine(indented.Bytes())
	}
	return cmd
}

func (e *eventTypes) putCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "put FILE",
		Short: "Store a version of an event type",
		Long: `Stores what a file says of an event type as its next version; "-" reads standard input. The
file is a JSON object with event_type, schema, and as you like mode, owner, description
and examples. When the newest version says the same, nothing changes.

With mode warn or enforce the newest stored events of the type are checked first. When one
breaks the schema nothing is stored, and the command lists what is wrong and exits with 1.`,
		Example: `  datastorage event-types put refund.json --dry-run
  datastorage event-types put refund.json
  datastorage event-types show payments.refund.issued | jq '.mode = "enforce"' | datastorage event-types put -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New(`"datastorage event-types put" takes one file, or - for standard input`)
			}
			return nil
		},
	}
	dryRun := cmd.Flags().Bool("dry-run", false, "only tell what would happen, and what stored events break")
	force := cmd.Flags().Bool("force", false, "store it whatever stored events are; needs the role admin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		document, t, err := e.readDefinition(args[0])
		if err != nil {
			return err
		}
		query := url.Values{"dry_run": {strconv.FormatBool(*dryRun)}, "force": {strconv.FormatBool(*force)}}
		answer, err := e.call(cmd, http.MethodPut, "/"+url.PathEscape(t.Name)+"?"+query.Encode(), json.RawMessage(document))
		return e.printPut(answer, err)
	}
	return cmd
}

// readDefinition reads a file that describes an event type.
func (e *eventTypes) readDefinition(name string) ([]byte, *datastorage.EventType, error) {
	file := e.stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return nil, nil, err
		}
		defer opened.Close()
		file = opened
	}
	document, err := io.ReadAll(io.LimitReader(file, datastorage.MaxEventTypeBodyBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(document) > datastorage.MaxEventTypeBodyBytes {
		return nil, nil, fmt.Errorf("%s is larger than %d bytes", name, datastorage.MaxEventTypeBodyBytes)
	}
	t, err := datastorage.DecodeEventType(document, "")
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return document, t, nil
}

// putAnswer is the answer to a put, and what a refusal holds of it.
type putAnswer struct {
	EventType string `json:"event_type"`
	Version   int64  `json:"version"`
	Changed   bool   `json:"changed"`
	DryRun    bool   `json:"dry_run"`
	Check     *struct {
		Checked  int  `json:"checked"`
		Failed   int  `json:"failed"`
		Complete bool `json:"complete"`
		Failures []struct {
			EventID  string `json:"event_id"`
			LogIndex int64  `json:"log_index"`
			Path     string `json:"path"`
			Rule     string `json:"rule"`
			Message  string `json:"message"`
		} `json:"failures"`
	} `json:"check"`
}

// printPut says what became of a put. Stored events that break the schema make it an error.
func (e *eventTypes) printPut(answer []byte, err error) error {
	var put putAnswer
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		answer = refused.body
	}
	if answer == nil {
		return err
	}
	if decodeErr := json.Unmarshal(answer, &put); decodeErr != nil && err == nil {
		return fmt.Errorf("the server's answer cannot be read: %w", decodeErr)
	}
	e.printFailures(&put)
	switch {
	case err != nil:
		return err
	case !put.Changed:
		fmt.Fprintf(e.stdout, "%s: unchanged, version %d\n", printable(put.EventType), put.Version)
	case put.DryRun:
		fmt.Fprintf(e.stdout, "%s: would be version %d\n", printable(put.EventType), put.Version)
		if put.Check != nil && put.Check.Failed > 0 {
			return errSilent
		}
	default:
		fmt.Fprintf(e.stdout, "%s: stored as version %d\n", printable(put.EventType), put.Version)
	}
	return nil
}

// printFailures lists the stored events that break a schema.
func (e *eventTypes) printFailures(put *putAnswer) {
	if put.Check == nil {
		return
	}
	for _, f := range put.Check.Failures {
		fmt.Fprintf(e.stdout, "%s\t%d\t%s %s (%s)\n", printable(f.EventID), f.LogIndex, printable(f.Path), printable(f.Message), printable(f.Rule))
	}
	of := "the newest stored events"
	if put.Check.Complete {
		of = "all stored events"
	}
	fmt.Fprintf(e.stderr, "%d of %d checked events break the schema (%s of the type)\n", put.Check.Failed, put.Check.Checked, of)
}
