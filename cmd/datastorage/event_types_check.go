package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventtype"
	"github.com/datastorage-io/datastorage/internal/importer"
)

// maxListed is how many violations a check prints unless it is told otherwise.
const maxListed = 100

func (e *eventTypes) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE.ndjson",
		Short: "Check a file of events against the schemas of their types",
		Long: `Checks events, one a line in the format of POST /api/v1/audit/events, against the newest
schemas of their types, whatever the modes are; "-" reads standard input. The schemas are
those of the server, or with --offline those that are built in; --definition adds files as
put takes them, which go before.

It lists what is wrong with line, event type, place and rule, counts events by type, and
exits with 1 when an event breaks its schema. Nothing is stored.`,
		Example: `  datastorage event-types check events.ndjson
  datastorage event-types check events.ndjson --offline --definition refund.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New(`"datastorage event-types check" takes one file, or - for standard input`)
			}
			return nil
		},
	}
	offline := cmd.Flags().Bool("offline", false, "ask no server: only what is built in, and --definition")
	definitions := cmd.Flags().StringArray("definition", nil, "a `file` that describes an event type; may be given several times")
	limit := cmd.Flags().Int("limit", maxListed, "violations to list")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c := &eventCheck{eventTypes: e, cmd: cmd, offline: *offline, limit: *limit, types: map[string]*checkedType{}}
		for _, name := range *definitions {
			if err := c.define(name); err != nil {
				return err
			}
		}
		return c.run(args[0])
	}
	return cmd
}

// eventCheck checks a file of events.
type eventCheck struct {
	*eventTypes
	cmd     *cobra.Command
	offline bool
	limit   int // of violations that may still be listed
	types   map[string]*checkedType
}

// checkedType is an event type that occurs in the file, or is defined for it.
type checkedType struct {
	schema                  *eventtype.Schema // nil when nobody has described the type
	version                 string
	events, broken, invalid int
}

// define takes a description of an event type from a file.
func (c *eventCheck) define(name string) error {
	_, t, err := c.readDefinition(name)
	if err != nil {
		return err
	}
	schema, err := eventtype.CompileType(t)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.types[t.Name] = &checkedType{schema: schema, version: name}
	return nil
}

func (c *eventCheck) run(name string) error {
	file := c.stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return err
		}
		defer opened.Close()
		file = opened
	}
	if err := c.checkAll(file, name); err != nil {
		return err
	}
	return c.report()
}

func (c *eventCheck) checkAll(file io.Reader, name string) error {
	rules := datastorage.Rules{AnyCategory: true, RetentionDays: datastorage.DefaultRetentionDays}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, importer.MaxLine+1)
	for line := 1; lines.Scan(); line++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		event, err := rules.Decode(lines.Bytes(), time.Now())
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, line, err)
		}
		if err := c.check(&event, fmt.Sprintf("%s:%d", name, line)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (c *eventCheck) check(event *datastorage.Event, place string) error {
	t, err := c.typeOf(event.Type)
	if err != nil {
		return err
	}
	t.events++
	if t.schema == nil {
		return nil
	}
	found, total := t.schema.Check(event.Data)
	if total == 0 {
		return nil
	}
	t.broken++
	t.invalid += total
	for _, v := range found[:min(len(found), max(0, c.limit))] {
		fmt.Fprintf(c.stdout, "%s: %s: %s (%s)\n", place, printable(event.Type), printable(v.String()), printable(v.Rule))
	}
	c.limit -= len(found)
	return nil
}

// typeOf returns what is known about an event type, and asks the server once.
func (c *eventCheck) typeOf(name string) (*checkedType, error) {
	if t, ok := c.types[name]; ok {
		return t, nil
	}
	t := &checkedType{version: "not described"}
	schema, version, err := c.find(name)
	if err != nil {
		return nil, err
	}
	if schema != nil {
		t.version = strconv.FormatInt(version, 10)
		if t.schema, err = eventtype.Compile(schema); err != nil {
			return nil, fmt.Errorf("the schema of %s: %w", name, err)
		}
	}
	c.types[name] = t
	return t, nil
}

// find returns the newest schema of an event type, nil when there is none.
func (c *eventCheck) find(name string) (schema jsontext.Value, version int64, err error) {
	if c.offline {
		if t, ok := eventtype.New().Get(name); ok {
			return t.Schema, 0, nil
		}
		return nil, 0, nil
	}
	answer, err := c.call(c.cmd, http.MethodGet, "/"+url.PathEscape(name), nil)
	if refused := (*refusal)(nil); errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var t eventTypeAnswer
	if err := json.Unmarshal(answer, &t); err != nil {
		return nil, 0, fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return jsontext.Value(t.Schema), t.Version, nil
}

// report prints the counts by type.
func (c *eventCheck) report() error {
	var rows [][]string
	broken := 0
	for _, name := range slices.Sorted(maps.Keys(c.types)) {
		t := c.types[name]
		if t.events > 0 {
			rows = append(rows, []string{printable(name), t.version, strconv.Itoa(t.events), strconv.Itoa(t.broken), strconv.Itoa(t.invalid)})
		}
		broken += t.broken
	}
	if c.limit < 0 {
		fmt.Fprintf(c.stderr, "%d violations more: --limit lists more\n", -c.limit)
	}
	if err := printRows(c.stdout, []string{"event_type", "version", "events", "broken", "violations"}, rows); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d events break the schemas of their types", broken)
	}
	return nil
}
