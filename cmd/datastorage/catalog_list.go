package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

func (c *catalogCommand) listCommand() *cobra.Command {
	var (
		f     catalog.Filter
		all   bool
		limit int
		asOf  string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List workflows, newest first",
		Long: `Lists the latest version of each workflow, with --all every version. Several values of one
filter are alternatives; filters together must all match. With --text those come first in
which the words are most relevant.`,
		Example: `  datastorage catalog list
  datastorage catalog list --all --status disabled,deprecated
  datastorage catalog list --text "memory limits" --severity critical`,
		Args: noArguments,
	}
	addStoreFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&all, "all", false, "list every version, not the latest alone")
	flags.StringSliceVar(&f.Status, "status", nil, "only these states: active, disabled, deprecated, archived")
	flags.StringSliceVar(&f.ActionType, "action-type", nil, "only workflows of these action types")
	flags.StringSliceVar(&f.Severity, "severity", nil, "only workflows that name one of these severities")
	flags.StringSliceVar(&f.Environment, "environment", nil, "only workflows that name one of these environments")
	flags.StringSliceVar(&f.Component, "component", nil, "only workflows that name one of these components")
	flags.StringVar(&f.Text, "text", "", "only workflows with these words in name, description or guidance")
	flags.IntVar(&limit, "limit", 100, "workflows to list, 1 to 10000")
	flags.StringVar(&asOf, "as-of", "", "list the catalogue as it was at this `time` (RFC 3339)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 || limit > 10_000 {
			return usagef("--limit must be between 1 and 10000")
		}
		if err := checkStatuses(f.Status); err != nil {
			return err
		}
		at, err := parseAsOf(asOf)
		if err != nil {
			return err
		}
		s, err := c.load(cmd)
		if err != nil {
			return err
		}
		if !at.IsZero() {
			s = s.AsOf(at)
		}
		f.Latest, f.Limit = !all, limit
		return c.printPage(s, s.List(&f))
	}
	return cmd
}

func checkStatuses(statuses []string) error {
	for _, s := range statuses {
		if !slices.Contains(datastorage.WorkflowStatuses, s) {
			return usagef("--status must be one of %s, not %q", strings.Join(datastorage.WorkflowStatuses, ", "), printable(s))
		}
	}
	return nil
}

// parseAsOf reads the value of --as-of; the zero time is now.
func parseAsOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef("--as-of must be a time such as 2026-05-11T14:40:00Z, not %q", printable(text))
	}
	return at, nil
}

func (c *catalogCommand) printPage(s *catalog.Snapshot, p catalog.Page) error {
	var rows [][]string
	for _, item := range p.Items {
		w := item.Workflow
		latest := ""
		if item.Latest {
			latest = "latest"
		}
		rows = append(rows, []string{
			printable(w.Name), printable(w.Version), latest, w.Status, printable(w.ActionType), w.CreatedAt.Format(time.RFC3339), w.ID.String(),
		})
	}
	if len(rows) > 0 {
		header := []string{"workflow", "version", "latest", "status", "action_type", "created", "workflow_id"}
		if err := printRows(c.stdout, header, rows); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.notes(), "%d of %d workflow versions, %d action types, catalogue version %d\n",
		len(p.Items), p.Total, len(s.ActionTypes()), s.Version())
	return nil
}
