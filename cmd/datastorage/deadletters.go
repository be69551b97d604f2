package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// deadLetters is what the commands below dead-letters share.
type deadLetters struct {
	*app
	api  *apiFlags
	json bool
}

func newDeadLettersCommand(a *app) *cobra.Command {
	d := &deadLetters{app: a}
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "Look after events that the store refuses",
		Long: `An event that was acknowledged while the store was down waits in the dead-letter queue
and is stored by itself when the store is back. One that the store then refuses for its
content goes to the quarantine, where it stays until somebody replays or discards it.

These commands talk to a running server. A server with tokens wants one with the role
read to list, show and see the queues, and admin to replay and discard; one without tokens
lets anybody on its own machine do so, when it listens on a loopback address alone.`,
		Example: `  datastorage dead-letters list
  datastorage dead-letters show 00000000000000004128
  datastorage dead-letters replay 00000000000000004128
  datastorage dead-letters discard 00000000000000004128 --reason "sent again as rr-9"
  datastorage dead-letters queues
  datastorage dead-letters list --url https://audit.example.org --token-file ~/.datastorage-token --json`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	d.api = addAPIFlags(cmd)
	cmd.PersistentFlags().BoolVar(&d.json, "json", false, "print the server's answer as JSON")
	cmd.AddCommand(d.listCommand(), d.showCommand(), d.replayCommand(), d.discardCommand(), d.queuesCommand())
	return cmd
}

func (d *deadLetters) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the letters in the quarantine, and how much waits",
		Long: `Lists the letters in the quarantine, oldest first, and says how many events wait to be
stored. On a terminal it is a table, elsewhere lines with tabs.`,
		Example: `  datastorage dead-letters list
  datastorage dead-letters list --json | jq -r '.data[].id'`,
		Args: noArguments,
	}
	limit := cmd.Flags().Int("limit", 50, "letters to list, 1 to 100")
	after := cmd.Flags().String("after", "", "go on behind the letter with this `id`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 1 || *limit > 100 {
			return usagef("--limit must be between 1 and 100")
		}
		query := url.Values{"limit": {strconv.Itoa(*limit)}}
		if *after != "" {
			query.Set("after", *after)
		}
		answer, err := d.call(cmd.Context(), http.MethodGet, "?"+query.Encode(), nil)
		if err != nil || d.json {
			return d.printJSON(answer, err)
		}
		return d.printList(answer)
	}
	return cmd
}

func (d *deadLetters) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show a letter with the event that it holds",
		Long:    `Shows why the store refuses a letter, when it was acknowledged, and its event.`,
		Example: `  datastorage dead-letters show 00000000000000004128`,
		Args:    letterIDs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := d.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(args[0]), nil)
			if err != nil || d.json {
				return d.printJSON(answer, err)
			}
			return d.printLetter(answer)
		},
	}
}

func (d *deadLetters) replayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replay ID...",
		Short: "Try to store letters again",
		Long: `Moves letters to the end of what waits to be stored. What the store still refuses comes
back to the quarantine under another id. Each replay is recorded as an audit event.`,
		Example: `  datastorage dead-letters replay 00000000000000004128
  datastorage dead-letters list --json | jq -r '.data[].id' | xargs datastorage dead-letters replay`,
		Args: letterIDs(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return d.change(cmd.Context(), args, http.MethodPost, "/replay", nil)
		},
	}
}

func (d *deadLetters) discardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discard ID...",
		Short: "Remove letters for good",
		Long: `Removes letters for good. The discard is first recorded as an audit event, with the
reason, who it was, and the SHA-256 of what is discarded.`,
		Example: `  datastorage dead-letters discard 00000000000000004128 --reason "sent again as rr-9"`,
		Args:    letterIDs(0),
	}
	reason := cmd.Flags().String("reason", "", "why, for the audit event: at most 500 characters")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if strings.TrimSpace(*reason) == "" || utf8.RuneCountInString(*reason) > 500 {
			return usagef("--reason is needed: why the letters can go, in at most 500 characters")
		}
		return d.change(cmd.Context(), args, http.MethodDelete, "", map[string]string{"reason": *reason})
	}
	return cmd
}

// letterIDs checks the ids of letters among the arguments; most is 0 when there may be any number.
func letterIDs(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for _, id := range args {
			if id == "" || len(id) > 255 {
				return errors.New("the id of a letter is 1 to 255 characters")
			}
		}
		switch {
		case most == 1 && len(args) != 1:
			return fmt.Errorf("%q takes the id of one letter (\"datastorage dead-letters list\" lists them)", cmd.CommandPath())
		case len(args) == 0:
			return fmt.Errorf("%q takes the ids of letters (\"datastorage dead-letters list\" lists them)", cmd.CommandPath())
		}
		return nil
	}
}

func (d *deadLetters) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	return d.callAPI(ctx, method, "/api/v1/dead-letters"+path, body)
}

func (d *deadLetters) callAPI(ctx context.Context, method, path string, body any) ([]byte, error) {
	client, err := d.client(d.api)
	if err != nil {
		return nil, err
	}
	return client.call(ctx, method, path, body)
}

// change does the same to each letter, and stops at the first that it cannot be done to.
func (d *deadLetters) change(ctx context.Context, ids []string, method, action string, body any) error {
	for _, id := range ids {
		answer, err := d.call(ctx, method, "/"+url.PathEscape(id)+action, body)
		if err != nil {
			return fmt.Errorf("%s: %w", printable(id), err)
		}
		if d.json {
			if err := d.printJSON(answer, nil); err != nil {
				return err
			}
			continue
		}
		var done struct {
			ID           string `json:"id"`
			Status       string `json:"status"`
			AuditEventID string `json:"audit_event_id"`
		}
		if err := json.Unmarshal(answer, &done); err != nil {
			return fmt.Errorf("the server's answer cannot be read: %w", err)
		}
		fmt.Fprintf(d.stdout, "%s: %s, recorded as event %s\n", printable(done.ID), printable(done.Status), printable(done.AuditEventID))
	}
	return nil
}

// printJSON prints an answer on one line, unless err says that there is none.
func (d *deadLetters) printJSON(answer []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = d.stdout.Write(append(bytes.TrimSpace(answer), '\n'))
	return err
}

// letter is a letter as the API describes it.
type letter struct {
	ID             string          `json:"id"`
	EventID        string          `json:"event_id"`
	CorrelationID  string          `json:"correlation_id"`
	NotificationID string          `json:"notification_id"`
	Reason         string          `json:"reason"`
	Cause          string          `json:"cause"`
	QueuedAt       time.Time       `json:"queued_at"`
	QuarantinedAt  time.Time       `json:"quarantined_at"`
	BodyBytes      int             `json:"body_bytes"`
	BodySHA256     string          `json:"body_sha256"`
	Event          json.RawMessage `json:"event"`
	BodyBase64     string          `json:"body_base64"`
	Notification   json.RawMessage `json:"notification"`
}

type letterList struct {
	Data       []letter `json:"data"`
	Pagination struct {
		NextAfter string `json:"next_after"`
	} `json:"pagination"`
	Waiting struct {
		Depth    int64     `json:"depth"`
		Bytes    int64     `json:"bytes"`
		Capacity int64     `json:"capacity_bytes"`
		Oldest   time.Time `json:"oldest_queued_at"`
	} `json:"waiting"`
	Quarantined int64 `json:"quarantined"`
}

func (d *deadLetters) printList(answer []byte) error {
	var list letterList
	if err := json.Unmarshal(answer, &list); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	header := []string{"id", "queued", "event", "correlation", "reason"}
	var rows [][]string
	for _, l := range list.Data {
		rows = append(rows, []string{
			printable(l.ID), l.QueuedAt.Format(time.RFC3339), printable(l.EventID), printable(l.CorrelationID), printable(l.Reason),
		})
	}
	// What stands beside the letters must not get between them in a pipe.
	notes := d.stderr
	if telemetry.IsTerminal(d.stdout) {
		notes = d.stdout
	}
	if len(rows) > 0 {
		if err := printRows(d.stdout, header, rows); err != nil {
			return err
		}
	}
	fmt.Fprintln(notes, list.summary())
	if next := list.Pagination.NextAfter; next != "" {
		fmt.Fprintf(notes, "more: --after %s\n", printable(next))
	}
	return nil
}

// summary says in a line what the queue holds.
func (l *letterList) summary() string {
	w := l.Waiting
	text := fmt.Sprintf("%d in the quarantine, %d waiting to be stored", l.Quarantined, w.Depth)
	if !w.Oldest.IsZero() {
		text += " since " + w.Oldest.Format(time.RFC3339)
	}
	return text + fmt.Sprintf(", %.1f of %.1f MiB used", float64(w.Bytes)/(1<<20), float64(w.Capacity)/(1<<20))
}

// printRows prints a table on a terminal, and lines with tabs elsewhere.
func printRows(w io.Writer, header []string, rows [][]string) error {
	if !telemetry.IsTerminal(w) {
		for _, row := range append([][]string{header}, rows...) {
			if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	cell := lipgloss.NewStyle().Padding(0, 1)
	t := table.New().Border(lipgloss.RoundedBorder()).Headers(header...).Rows(rows...).
		StyleFunc(func(int, int) lipgloss.Style { return cell })
	_, err := fmt.Fprintln(w, t.String())
	return err
}

func (d *deadLetters) printLetter(answer []byte) error {
	var l letter
	if err := json.Unmarshal(answer, &l); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	for _, line := range [][2]string{
		{"id", l.ID}, {"reason", l.Reason}, {"cause", l.Cause}, {"queued", l.QueuedAt.Format(time.RFC3339Nano)},
		{"quarantined", l.QuarantinedAt.Format(time.RFC3339Nano)}, {"event", l.EventID}, {"correlation", l.CorrelationID},
		{"notification", l.NotificationID}, {"body", fmt.Sprintf("%d bytes, SHA-256 %s", l.BodyBytes, l.BodySHA256)},
		{"not JSON", l.BodyBase64},
	} {
		if line[1] != "" {
			fmt.Fprintf(d.stdout, "%-13s%s\n", line[0], printable(line[1]))
		}
	}
	for _, document := range []json.RawMessage{l.Event, l.Notification} {
		if len(document) == 0 {
			continue
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, document, "", "  "); err != nil {
			return fmt.Errorf("the server's answer cannot be read: %w", err)
		}
		for line := range strings.Lines(indented.String()) {
			fmt.Fprintln(d.stdout, printable(strings.TrimRight(line, "\n")))
		}
	}
	return nil
}
