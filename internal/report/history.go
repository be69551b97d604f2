package report

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// past is a remediation of the answer of /remediation-history/context.
type past struct {
	ID         text      `json:"remediationUID"`
	Signal     text      `json:"signalType"`
	Workflow   text      `json:"workflowId"`
	Outcome    text      `json:"outcome"`
	Status     text      `json:"status"`
	Score      *float64  `json:"effectivenessScore"`
	At         time.Time `json:"completedAt"`
	LogIndexes []int64   `json:"logIndexes"`
}

// historyRange is how far back a report looks for what was tried on an object.
const historyRange = "365d"

// history lists what else was tried on the object of a remediation, the latest first.
func history(ctx context.Context, r *reader, t target, self string) (Section, error) {
	s := Section{Title: "Also tried on this object"}
	if t.Kind == "" || t.Name == "" {
		return s, nil
	}
	query := url.Values{"target_kind": {string(t.Kind)}, "target_name": {string(t.Name)}, "tier2_window": {historyRange}}
	if t.Namespace != "" {
		query.Set("target_namespace", string(t.Namespace))
	}
	if t.Cluster != "" {
		query.Set("cluster_name", string(t.Cluster))
	}
	var answer struct {
		Recent struct {
			Chain []past `json:"chain"`
		} `json:"tier1"`
		Before struct {
			Chain []past `json:"chain"`
		} `json:"tier2"`
	}
	mark, _, err := r.try(ctx, "/remediation-history/context?"+legible.Replace(query.Encode()), &answer)
	if err != nil {
		return s, err
	}
	others := slices.DeleteFunc(slices.Concat(answer.Before.Chain, answer.Recent.Chain), func(p past) bool { return string(p.ID) == clean(self) })
	slices.Reverse(others)
	s.Note = fmt.Sprintf("In %s before now, by the object's kind, name, namespace and cluster.", historyRange)
	if len(others) == 0 {
		s.Facts = []Fact{{Label: "Others", Value: "none", Cite: called(mark)}}
		return s, nil
	}
	s.Table = &Table{Headings: []Heading{{Name: "ended as"}, {Name: "signal"}, {Name: "helped", Right: true}, {Name: "at", Whole: true}, {Name: "correlation_id", Whole: true}}}
	for i := range others[:min(len(others), maxRows)] {
		s.Table.Rows = append(s.Table.Rows, others[i].row(mark))
	}
	return limited(s, len(others)), nil
}

func (p *past) row(mark string) Row {
	row := Row{Cells: []string{spaced(string(p.Outcome)), string(p.Signal), "–", p.At.UTC().Format(time.DateOnly), string(p.ID)}, Cite: called(mark)}
	if p.Outcome == "" {
		row.Cells[0] = spaced(string(p.Status))
	}
	switch p.Status {
	case "completed":
		row.Tone = Good
	case "failed":
		row.Tone = Bad
	default:
		row.Tone = Attention
	}
	if p.Score != nil {
		row.Cells[2] = score(*p.Score)
	}
	if len(p.LogIndexes) > 0 {
		row.Cite.First, row.Cite.Last = slices.Min(p.LogIndexes), slices.Max(p.LogIndexes)
	}
	return row
}
