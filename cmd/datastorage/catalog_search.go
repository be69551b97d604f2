package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/project"
)

// mandatory are the labels that every search names.
var mandatory = []string{"signal_type", "severity", "component", "environment", "priority"}

// searchFlags are what a search asks beside its labels.
type searchFlags struct {
	top      int
	minScore float64
	disabled bool
	explain  bool
	asOf     string
	rank     string
}

func (c *catalogCommand) searchCommand() *cobra.Command {
	var f searchFlags
	cmd := &cobra.Command{
		Use:   "search LABEL=VALUE...",
		Short: "Find the workflows that fit an incident, as an agent does",
		Long: `Searches as POST /api/v1/workflows/search does. The five mandatory labels (signal_type,
severity, component, environment, priority) are all needed. gitOpsManaged, gitOpsTool,
serviceMesh, hpaEnabled, pdbProtected, stateful, helmManaged and networkIsolated are what
is known of the cluster; any other label is a custom one, and may be given several times.

With --explain each result comes with every term of its score, and the conditions with what
each of them excluded. With --as-of the catalogue is searched as it was then, with --rank
outcomes how workflows fared with the signal_type moves their scores a little.`,
		Example: `  datastorage catalog search signal_type=OOMKilled severity=critical component=apps/v1/Deployment \
      environment=production priority=P0
  datastorage catalog search signal_type='*' severity=high component=pod environment=staging priority=P1 \
      gitOpsManaged=true gitOpsTool=argocd team=payments --explain
  datastorage catalog search … --as-of 2026-05-11T14:40:00Z`,
		Args: func(cmd *cobra.Command, args []string) error {
			_, err := searchBody(args, &searchFlags{top: 1, rank: datastorage.RankLabels})
			if err != nil {
				return fmt.Errorf("%q: %w", cmd.CommandPath(), err)
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(labelCompletions(), cobra.ShellCompDirectiveNoSpace),
	}
	addStoreFlags(cmd)
	flags := cmd.Flags()
	flags.IntVar(&f.top, "top", datastorage.DefaultTopK, "results to show, 1 to 100")
	flags.Float64Var(&f.minScore, "min-score", 0, "least score of a result, 0 to 1")
	flags.BoolVar(&f.disabled, "include-disabled", false, "find disabled workflows, too")
	flags.BoolVar(&f.explain, "explain", false, "show every term of each score, and what each condition excluded")
	flags.StringVar(&f.rank, "rank", datastorage.RankLabels, "what the order goes by: labels or outcomes")
	flags.StringVar(&f.asOf, "as-of", "", "search the catalogue as it was at this `time` (RFC 3339)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		search, err := decodeSearch(args, &f)
		if err != nil {
			return usageError{err}
		}
		return c.read(cmd, func(ctx context.Context, cfg *config.Config, store store, s *catalog.Snapshot) error {
			if !search.AsOf.IsZero() {
				s = s.AsOf(search.AsOf)
			}
			if !search.ByOutcomes {
				return c.printResult(s.Search(search))
			}
			return withView(ctx, store, func(view project.View) error {
				known, err := newRankings(cfg, view).Outcomes(ctx, search.SignalType)
				if err != nil {
					return err
				}
				return c.printResult(s.SearchByOutcomes(search, known))
			})
		})
	}
	return cmd
}

func labelCompletions() []string {
	var names []string
	for _, name := range append(append([]string{}, mandatory...), detectedNames...) {
		names = append(names, name+"=")
	}
	return names
}

// detectedNames are the labels of a cluster; boolean ones take true or false.
var detectedNames = []string{
	"gitOpsManaged", "pdbProtected", "hpaEnabled", "stateful", "helmManaged", "networkIsolated", "gitOpsTool", "serviceMesh",
}

// decodeSearch makes a search of a command line, by the rules of the API.
func decodeSearch(args []string, f *searchFlags) (*datastorage.WorkflowSearch, error) {
	body, err := searchBody(args, f)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	search, _, err := datastorage.DecodeWorkflowSearch(raw, time.Now())
	return search, err
}

// searchBody makes the body of a request of labels, which are name=value.
func searchBody(args []string, f *searchFlags) (map[string]any, error) {
	filters, detected, custom := map[string]any{}, map[string]any{}, map[string][]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not LABEL=VALUE", printable(arg))
		}
		switch {
		case slices.Contains(mandatory, name):
			filters[name] = value
		case slices.Contains(detectedNames[:6], name):
			b, err := strconv.ParseBool(value)
			if err != nil {
				return nil, fmt.Errorf("%s takes true or false, not %q", name, printable(value))
			}
			detected[name] = b
		case slices.Contains(detectedNames, name):
			detected[name] = value
		default:
			custom[name] = append(custom[name], value)
		}
	}
	for _, name := range mandatory {
		if filters[name] == nil {
			return nil, fmt.Errorf("%s is missing: a search needs %s (* finds only workflows for any)", name, strings.Join(mandatory, ", "))
		}
	}
	filters["detected_labels"], filters["custom_labels"] = detected, custom
	body := map[string]any{
		"filters": filters, "top_k": f.top, "min_score": f.minScore, "include_disabled": f.disabled, "explain": f.explain,
		"rank": f.rank,
	}
	if f.asOf != "" {
		body["as_of"] = f.asOf
	}
	return body, nil
}

// printResult prints the results of a search, with their explanation when there is one.
func (c *catalogCommand) printResult(r *catalog.Result) error {
	var rows [][]string
	for i := range r.Matches {
		m := &r.Matches[i]
		rows = append(rows, []string{
			strconv.Itoa(m.Rank), m.Score.String(), printable(m.Workflow.Name), printable(m.Workflow.Version),
			printable(m.Workflow.ActionType), m.Workflow.ID.String(),
		})
	}
	if len(rows) > 0 {
		if err := printRows(c.stdout, []string{"rank", "score", "workflow", "version", "action_type", "workflow_id"}, rows); err != nil {
			return err
		}
	}
	for i := range r.Matches {
		if err := c.printTerms(&r.Matches[i]); err != nil {
			return err
		}
	}
	if err := c.printFunnel(r.Funnel); err != nil {
		return err
	}
	fmt.Fprintf(c.notes(), "%d of %d results, catalogue version %d, weights %s\n", len(r.Matches), r.Total, r.CatalogVersion, r.WeightsVersion)
	return nil
}

// printTerms prints what the score of a match is made of.
func (c *catalogCommand) printTerms(m *catalog.Match) error {
	if len(m.Terms) == 0 {
		return nil
	}
	var rows [][]string
	for _, t := range m.Terms {
		points := t.Points.String()
		if t.Skipped {
			points = "skipped"
		}
		rows = append(rows, []string{printable(t.Label), printable(t.Query), printable(t.Workflow), points})
	}
	fmt.Fprintf(c.stdout, "\n%d. %s %s scores %s:\n", m.Rank, printable(m.Workflow.Name), printable(m.Workflow.Version), m.Score)
	return printRows(c.stdout, []string{"label", "search", "workflow", "points"}, rows)
}

// printFunnel prints what each condition excluded.
func (c *catalogCommand) printFunnel(f *catalog.Funnel) error {
	if f == nil {
		return nil
	}
	var rows [][]string
	for _, s := range f.Steps {
		rows = append(rows, []string{
			s.Condition, printable(s.Asked), strconv.Itoa(s.Left), strconv.Itoa(s.Removed), strconv.Itoa(s.Sole),
		})
	}
	fmt.Fprintf(c.stdout, "\nfrom %d workflow versions:\n", f.Workflows)
	if err := printRows(c.stdout, []string{"condition", "asked", "left", "removed", "found without it"}, rows); err != nil {
		return err
	}
	if f.Emptied != "" {
		fmt.Fprintf(c.stdout, "\nnothing is left because of %s\n", f.Emptied)
	}
	return nil
}
