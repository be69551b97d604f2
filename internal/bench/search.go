package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/google/uuid"
)

const (
	workflowsPath = "/api/v1/workflows"
	searchPath    = workflowsPath + "/search"
)

// maxSearches is the largest number of different searches that a load sends, which is a page of the list of workflows.
const maxSearches = "1000"

// errNoWorkflow says that there is nothing to search for.
var errNoWorkflow = errors.New(`the catalogue of the server has no active workflow to search for; publish some first with "datastorage catalog import"`)

// prepareSearches makes a search of each of the newest workflows, by labels of every kind: one value of each mandatory
// label, and custom and detected labels, which are those of an earlier workflow where it has none.
func (w *Workload) prepareSearches(ctx context.Context, b *browser) error {
	body, err := b.get(ctx, workflowsPath+"?status=active&limit="+maxSearches)
	if err != nil {
		return err
	}
	var list struct {
		Workflows []listedWorkflow `json:"workflows"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("list of workflows: %w: %.200s", err, body)
	}
	var kept optional
	for i := range list.Workflows {
		search, err := list.Workflows[i].search(&kept)
		if err != nil {
			return err
		}
		if search == nil {
			continue
		}
		request := append(w.endpoint.request(w.options.method(), searchPath, len(search)), search...)
		w.queries = append(w.queries, query{request: request})
	}
	if len(w.queries) == 0 {
		return errNoWorkflow
	}
	return nil
}

// listedWorkflow is what is needed of a workflow of the list.
type listedWorkflow struct {
	Latest bool              `json:"is_latest_version"`
	Labels map[string]values `json:"labels"`
	optional
}

// optional are the labels of a search that a workflow need not have.
type optional struct {
	Custom   json.RawMessage `json:"custom_labels,omitempty"`
	Detected json.RawMessage `json:"detected_labels,omitempty"`
}

// filters are what a search asks for.
type filters struct {
	SignalType  string `json:"signal_type"`
	Severity    string `json:"severity"`
	Component   string `json:"component"`
	Environment string `json:"environment"`
	Priority    string `json:"priority"`
	optional
}

// search returns the body of a search that finds the workflow, nil for one that none finds: an older version, or one
// without a value that an incident would have. Optional labels are kept for the next ones.
func (l *listedWorkflow) search(kept *optional) ([]byte, error) {
	if l.Custom != nil {
		kept.Custom = l.Custom
	}
	if l.Detected != nil {
		kept.Detected = l.Detected
	}
	asked := filters{optional: *kept}
	for name, target := range map[string]*string{
		"signal_type": &asked.SignalType, "severity": &asked.Severity, "component": &asked.Component, "environment": &asked.Environment,
		"priority": &asked.Priority,
	} {
		i := slices.IndexFunc(l.Labels[name], func(v string) bool { return v != "*" })
		if i < 0 || !l.Latest {
			return nil, nil
		}
		*target = l.Labels[name][i]
	}
	return json.Marshal(map[string]filters{"filters": asked})
}

// values are those of a label: a text or an array of them.
type values []string

// UnmarshalJSON implements json.Unmarshaler.
func (v *values) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(v))
	}
	*v = values{""}
	return json.Unmarshal(b, &(*v)[0])
}

// searcher sends prepared searches at random.
type searcher struct{ reader }

func newSearcher(queries []query, rng *rand.Rand) *searcher {
	return &searcher{reader{queries: queries, rng: rng}}
}

func (s *searcher) events(body []byte) int { return countResults(body) }

func (s *searcher) check(body []byte) error {
	var answer struct {
		Workflows []struct {
			ID    uuid.UUID `json:"workflow_id"`
			Score float64   `json:"final_score"`
			Rank  int       `json:"rank"`
		} `json:"workflows"`
		Total int `json:"total_results"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("answer to a search: %w: %.200s", err, body)
	}
	if n := len(answer.Workflows); n == 0 || n > answer.Total || n != countResults(body) {
		return fmt.Errorf("answer to a search for a workflow that is there has %d of %d: %.200s", n, answer.Total, body)
	}
	for i, w := range answer.Workflows {
		if w.ID == uuid.Nil || w.Rank != i+1 || i > 0 && w.Score > answer.Workflows[i-1].Score {
			return fmt.Errorf("result %d of a search is out of order: %.200s", i+1, body)
		}
	}
	return nil
}

// countResults counts the workflows of an answer without parsing it: a text within one has its quotes escaped.
func countResults(body []byte) int { return bytes.Count(body, []byte(`{"workflow_id":"`)) }
