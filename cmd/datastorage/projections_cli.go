package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/project"
)

// projectionsCommand is what the commands below projections share.
type projectionsCommand struct {
	*app
	json bool
}

func newProjectionsCommand(a *app) *cobra.Command {
	p := &projectionsCommand{app: a}
	cmd := &cobra.Command{
		Use:   "projections",
		Short: "Look after what is derived from the log",
		Long: `A projection is derived from the log of events: lists, rates and summaries read it. A
server keeps it within a second of the log. Nothing is lost when its tables are: they can be
built again at any time.`,
		Example: `  datastorage projections list
  datastorage projections rebuild correlations`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.PersistentFlags().BoolVar(&p.json, "json", false, "print the result as JSON")
	cmd.AddCommand(p.listCommand(), p.rebuildCommand())
	return cmd
}

func (p *projectionsCommand) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List projections and how far each is behind the log",
		Long: `Lists the tables of each projection. Those that are live serve reads; building ones follow
the log until they can take the place of the live ones; retired ones are removed soon. A
projection without live tables is answered 503 until a server has built them. On a terminal
this is a table, elsewhere lines with tabs. It may run while a server serves the store.`,
		Example: `  datastorage projections list
  datastorage projections list --json | jq '.data[] | select(.lag_events > 0)'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.open(cmd, func(ctx context.Context, s store, projected project.Store, _ time.Duration) error {
				statuses, err := project.Statuses(ctx, s, projected)
				if err != nil {
					return err
				}
				return p.printList(listed(statuses))
			})
		},
	}
	addStoreFlags(cmd)
	return cmd
}

// open calls f with the configured store and its projections; keep is how long retired tables stay.
func (p *projectionsCommand) open(
	cmd *cobra.Command, f func(ctx context.Context, s store, projected project.Store, keep time.Duration) error,
) (err error) {
	cfg, err := p.loadConfig(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := openStore(ctx, &cfg.Config, p.logger(cfg.Log))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	projected, err := s.Projections(ctx)
	if err != nil {
		return fmt.Errorf("open the projections: %w", err)
	}
	defer func() { err = errors.Join(err, projected.Close()) }()
	return f(ctx, s, projected, cfg.Database.QueryTimeout+keepRetired)
}

// projectionRow is a line of the list.
type projectionRow struct {
	Name       string     `json:"projection"`
	State      string     `json:"state"`
	Version    int        `json:"version"`
	Generation int64      `json:"generation"`
	Position   int64      `json:"position"`
	LagEvents  int64      `json:"lag_events"`
	LagSeconds float64    `json:"lag_seconds"`
	UpdatedAt  *time.Time `json:"updated_at,omitempty"`
}

// listed returns a row for each generation, and one for each projection that has none.
func listed(statuses []project.Status) []projectionRow {
	rows := []projectionRow{}
	for _, s := range statuses {
		row := projectionRow{s.Name, s.State, s.Version, s.Number, s.Position, s.LagEvents, s.Lag.Seconds(), &s.UpdatedAt}
		if s.Foreign {
			row.State = "of another log"
		}
		rows = append(rows, row)
	}
	for _, p := range projections() {
		if !slices.ContainsFunc(rows, func(r projectionRow) bool { return r.Name == p.Name() }) {
			rows = append(rows, projectionRow{Name: p.Name(), State: "missing", Version: p.Version()})
		}
	}
	slices.SortStableFunc(rows, func(a, b projectionRow) int { return strings.Compare(a.Name, b.Name) })
	return rows
}

func (p *projectionsCommand) printList(rows []projectionRow) error {
	if p.json {
		return p.printResult(map[string][]projectionRow{"data": rows})
	}
	var cells [][]string
	for _, r := range rows {
		updated := "-"
		if r.UpdatedAt != nil {
			updated = r.UpdatedAt.Format(time.RFC3339)
		}
		cells = append(cells, []string{
			r.Name, r.State, strconv.Itoa(r.Version), strconv.FormatInt(r.Generation, 10), strconv.FormatInt(r.Position, 10),
			strconv.FormatInt(r.LagEvents, 10), time.Duration(r.LagSeconds * float64(time.Second)).Round(time.Millisecond).String(), updated,
		})
	}
	return printRows(p.stdout, []string{"projection", "state", "version", "generation", "position", "behind", "lag", "updated"}, cells)
}

func (p *projectionsCommand) printResult(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s\n", text)
	return err
}

func (p *projectionsCommand) rebuildCommand() *cobra.Command {
	names := make([]string, 0, len(projections()))
	for _, q := range projections() {
		names = append(names, q.Name())
	}
	cmd := &cobra.Command{
		Use:   "rebuild NAME...",
		Short: "Build projections again from the log",
		Long: `Builds the tables of projections again from the whole log, in one reading of it, beside the
live ones, and puts them in their place when they have caught up. Reads are served all
the time. It may run while servers serve the store, and can be interrupted: the live tables
stay in use, and the next build removes what was left.`,
		Example: `  datastorage projections rebuild correlations
  datastorage projections rebuild ` + strings.Join(names, " ") + ` --json`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(`"datastorage projections rebuild" takes names of projections: %s`, strings.Join(names, ", "))
			}
			for _, name := range args {
				if !slices.Contains(names, name) {
					return usagef("there is no projection %q; there are: %s", printable(name), strings.Join(names, ", "))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.open(cmd, func(ctx context.Context, s store, projected project.Store, keep time.Duration) error {
				return p.rebuild(ctx, s, projected, chosen(args), keep)
			})
		},
	}
	addStoreFlags(cmd)
	return cmd
}

// chosen returns the projections with these names, each once.
func chosen(names []string) (found []project.Projection) {
	for _, q := range projections() {
		if slices.Contains(names, q.Name()) {
			found = append(found, q)
		}
	}
	return found
}

// rebuilt is the result of a rebuild.
type rebuilt struct {
	Projections []string `json:"projections"`
	Events      int64    `json:"events"`
	Seconds     float64  `json:"seconds"`
	PerSecond   float64  `json:"events_per_second"`
}

func (p *projectionsCommand) rebuild(
	ctx context.Context, log project.Log, projected project.Store, chosen []project.Projection, keep time.Duration,
) error {
	var result rebuilt
	for _, q := range chosen {
		result.Projections = append(result.Projections, q.Name())
	}
	line, began := newProgressLine(p.stderr), time.Now()
	errs := project.Build(ctx, log, projected, chosen, project.BuildOptions{Keep: keep, Progress: func(position, size int64) {
		result.Events = position
		rate := float64(position) / time.Since(began).Seconds()
		left := time.Duration(float64(size-position) / rate * float64(time.Second))
		line.show("%d of %d events, %.0f events/s, %s left", position, size, rate, left.Round(time.Second))
	}})
	line.clear()
	if ctx.Err() != nil {
		return errors.Join(errInterrupted, errors.New("the tables that were there stay in use; run the same command again"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	took := time.Since(began)
	result.Seconds, result.PerSecond = took.Seconds(), float64(result.Events)/took.Seconds()
	if p.json {
		return p.printResult(result)
	}
	_, err := fmt.Fprintf(p.stdout, "%s: built from %d events in %s (%.0f events/s)\n",
		strings.Join(result.Projections, ", "), result.Events, took.Round(time.Millisecond), result.PerSecond)
	return err
}
