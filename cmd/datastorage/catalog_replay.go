package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
)

// searchEvents is the type of the events that record searches.
const searchEvents = "workflow.catalog.search_completed"

// errNotIdentical ends a replay that found another ranking.
var errNotIdentical = errors.New("the search gives another ranking than was recorded")

func (c *catalogCommand) replayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay EVENT_ID",
		Short: "Run a recorded search again, and compare",
		Long: `Every search of a server is recorded as an event workflow.catalog.search_completed. This
runs one again, on the catalogue as it was at that version and with the weights of then, and
says "identical" when the ranking is the same, bit for bit. Else it shows the differences and
exits with 1.`,
		Example: `  curl -s 'http://127.0.0.1:8080/api/v1/audit/events?event_type=workflow.catalog.search_completed&limit=1'
  datastorage catalog replay 019b6f0e-52a5-7c4e-8e5e-0e6a3f6d2c11`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%q takes one argument, the event_id of a search", cmd.CommandPath())
			}
			_, err := datastorage.ParseUUID(args[0])
			if err != nil {
				return fmt.Errorf("%q: event_id must be a UUID", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.read(cmd, func(ctx context.Context, _ *config.Config, store store, s *catalog.Snapshot) error {
				id, err := datastorage.ParseUUID(args[0])
				if err != nil {
					return err
				}
				return c.replay(ctx, store, s, id)
			})
		},
	}
	addStoreFlags(cmd)
	return cmd
}

func (c *catalogCommand) replay(ctx context.Context, store store, s *catalog.Snapshot, id uuid.UUID) error {
	event, err := store.Event(ctx, id)
	if err != nil {
		return err
	}
	evidence, err := searchEvidence(&event)
	if err != nil {
		return err
	}
	replayed, err := s.At(evidence.CatalogVersion).Replay(evidence)
	if err != nil {
		return err
	}
	if replayed.Identical() {
		_, err := fmt.Fprintf(c.stdout, "identical: %d of %d results, catalogue version %d, weights %s\n",
			evidence.Returned, evidence.Total, evidence.CatalogVersion, evidence.WeightsVersion)
		return err
	}
	for _, difference := range replayed.Differences {
		fmt.Fprintln(c.stdout, difference)
	}
	return errNotIdentical
}

// searchEvidence reads what an event records of a search.
func searchEvidence(event *datastorage.StoredEvent) (*catalog.Evidence, error) {
	e, err := datastorage.ParseBody(event.Body)
	if err != nil {
		return nil, err
	}
	if e.Type != searchEvents {
		return nil, fmt.Errorf("the event is a %s, not a %s", e.Type, searchEvents)
	}
	var evidence catalog.Evidence
	if err := json.Unmarshal(e.Data, &evidence); err != nil {
		return nil, fmt.Errorf("the evidence of event %s: %w", e.ID, err)
	}
	return &evidence, nil
}

func (c *catalogCommand) backtestCommand() *cobra.Command {
	var file, since string
	cmd := &cobra.Command{
		Use:   "backtest --weights FILE",
		Short: "Tell what other weights would have chosen",
		Long: `Runs the recorded searches again, each on the catalogue of its time, and tells for which of
them other weights would have ranked the workflows otherwise, and how often the workflow that
was first then, and the one that would be, succeeded with that kind of incident within
catalog.outcomes.range. FILE holds weights in YAML, by the names of the settings below
catalog.weights; those that it does not name keep their configured value.`,
		Example: `  echo 'git_ops_managed: 300' > weights.yaml
  datastorage catalog backtest --weights weights.yaml --since 90d`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := datastorage.ParseTime(since, time.Now())
			if err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			return c.read(cmd, func(ctx context.Context, cfg *config.Config, store store, s *catalog.Snapshot) error {
				configured, _ := s.Weights()
				weights, err := readWeights(file, configured)
				if err != nil {
					return err
				}
				return withTallies(ctx, cfg, store, func(known *tallies) error {
					return c.backtest(ctx, store, s, from, weights, known)
				})
			})
		},
	}
	addStoreFlags(cmd)
	cmd.Flags().StringVar(&file, "weights", "", "YAML `file` with the other weights")
	cmd.Flags().StringVar(&since, "since", "90d", "searches from this `time` on: 24h, 90d or RFC 3339")
	_ = cmd.MarkFlagRequired("weights") // the flag is there
	return cmd
}

// readWeights reads weights from a file; what it does not name is as in base.
func readWeights(file string, base catalog.Weights) (catalog.Weights, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return base, fmt.Errorf("--weights: %w", err)
	}
	var named map[string]int
	if err := yaml.Unmarshal(text, &named); err != nil {
		return base, fmt.Errorf("--weights %s: %w", file, err)
	}
	object, err := json.Marshal(named)
	if err != nil {
		return base, err
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&base); err != nil {
		return base, fmt.Errorf("--weights %s: %w", file, err)
	}
	if err := base.Validate(); err != nil {
		return base, fmt.Errorf("--weights %s: %w", file, err)
	}
	return base, nil
}

func (c *catalogCommand) backtest(
	ctx context.Context, store store, s *catalog.Snapshot, from time.Time, weights catalog.Weights, known *tallies,
) error {
	recorded, ids, err := recordedSearches(ctx, store, from)
	if err != nil {
		return err
	}
	result, err := catalog.RunBacktest(recorded, func(version int64) (*catalog.Snapshot, error) { return s.At(version), nil }, weights)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	if len(result.Changes) > 0 {
		fmt.Fprintln(w, "event_id\tchosen then\tits first fared\twith these weights\tits first fared")
	}
	for _, change := range result.Changes {
		incidentType := recorded[change.Index].Search.SignalType
		before, err := known.fared(ctx, incidentType, change.Before)
		if err != nil {
			return err
		}
		after, err := known.fared(ctx, incidentType, change.After)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", ids[change.Index], ranking(change.Before), before, ranking(change.After), after)
	}
	fmt.Fprintf(w, "%d searches; another workflow first in %d, another ranking in %d, weights %s\n",
		result.Searches, result.FirstChanged, result.Changed, weights.Version())
	if n := len(result.Unreplayable); n > 0 {
		fmt.Fprintf(w, "%d searches do not give what was recorded and were left out; see: datastorage catalog replay %s\n", n, ids[result.Unreplayable[0]])
	}
	return w.Flush()
}

// shownResults is how many results of a ranking a line shows.
const shownResults = 3

// ranking names the first results.
func ranking(r *catalog.Result) string {
	var names []string
	for i := range r.Matches[:min(shownResults, len(r.Matches))] {
		names = append(names, r.Matches[i].Workflow.Name+" "+r.Matches[i].Workflow.Version)
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// recordedSearches returns the evidence of all searches since a time, with the ids of their events.
func recordedSearches(ctx context.Context, store store, from time.Time) (recorded []*catalog.Evidence, ids []uuid.UUID, err error) {
	q := datastorage.EventQuery{EventType: searchEvents, Since: from, Limit: datastorage.MaxLimit, Ascending: true, Count: datastorage.CountNone}
	for {
		page, err := store.Events(ctx, q)
		if err != nil {
			return nil, nil, err
		}
		for i := range page.Events {
			evidence, err := searchEvidence(&page.Events[i])
			if err != nil {
				return nil, nil, err
			}
			recorded, ids = append(recorded, evidence), append(ids, page.Events[i].ID)
		}
		if !page.HasMore {
			return recorded, ids, nil
		}
		last := &page.Events[len(page.Events)-1]
		q.After, q.Size = &datastorage.Position{Time: last.Time, ID: last.ID}, page.Size
	}
}
