package httpapi

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// maxSearchBody is the largest body of a search in bytes.
const maxSearchBody = 64 << 10

func (s *Server) searchWorkflows(c *call) (*response, error) {
	body, err := s.readBody(c, maxSearchBody)
	if err != nil {
		return nil, err
	}
	q, filters, err := datastorage.DecodeWorkflowSearch(body, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	if p.rank(q); p.err() != nil {
		return nil, p.err()
	}
	result, err := s.search(c, q)
	if err != nil {
		return nil, err
	}
	out := buffers.get()
	return &response{status: http.StatusOK, body: appendResult(*out, result, filters), buffer: out}, nil
}

// rank reads the parameter rank into a search. It is the same as the member rank of a body, which must not contradict it.
func (p *params) rank(q *datastorage.WorkflowSearch) {
	switch rank := p.enum("rank", datastorage.RankLabels, datastorage.RankOutcomes); {
	case rank == datastorage.RankOutcomes && !q.AsOf.IsZero():
		p.fault("rank", "must be labels with as_of: what is known of outcomes is known now")
	case rank == datastorage.RankLabels && q.ByOutcomes:
		p.fault("rank", "contradicts rank in the body")
	case rank == datastorage.RankOutcomes:
		q.ByOutcomes = true
	}
}

// search runs a search and has its evidence recorded: no search is answered that leaves no trace.
func (s *Server) search(c *call, q *datastorage.WorkflowSearch) (*catalog.Result, error) {
	began := s.cfg.Now()
	var outcomes *catalog.Outcomes
	if q.ByOutcomes {
		var err error
		if outcomes, err = s.cfg.Rankings.Outcomes(c.Context(), q.SignalType); err != nil {
			return nil, err
		}
	}
	snapshot := s.at(q.AsOf)
	result := snapshot.SearchByOutcomes(q, outcomes)
	return result, s.cfg.Recorder.Record(c.Context(), snapshot.Evidence(q, result), began, s.cfg.Now().Sub(began))
}

// appendResult appends the answer to a search.
func appendResult(b []byte, r *catalog.Result, filters jsontext.Value) []byte {
	b = append(b, `{"workflows":[`...)
	for i := range r.Matches {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendMatch(b, &r.Matches[i])
	}
	b = append(b, `],"total_results":`...)
	b = strconv.AppendInt(b, int64(r.Total), 10)
	b = append(b, `,"filters":`...)
	b = append(b, filters...)
	b = append(b, `,"catalog_version":`...)
	b = strconv.AppendInt(b, r.CatalogVersion, 10)
	b = append(b, `,"weights_version":"`...)
	b = append(append(b, r.WeightsVersion...), '"')
	if r.Outcomes != nil {
		b = append(b, `,"ranked_by":"outcomes"`...)
	}
	if r.Funnel != nil {
		b = append(b, `,"explanation":`...)
		b = appendFunnel(b, r.Funnel)
	}
	return append(b, '}')
}

func appendMatch(b []byte, m *catalog.Match) []byte {
	w := m.Workflow
	b = append(b, `{"workflow_id":"`...)
	b = datastorage.AppendUUID(b, w.ID)
	b = appendText(append(b, '"'), `,"workflow_name":`, w.Name)
	b = appendText(b, `,"version":`, w.Version)
	b = appendText(b, `,"title":`, w.Title)
	b = appendText(b, `,"description":`, w.Description)
	b = append(b, `,"signal_type":`...)
	b = datastorage.AppendLabel(b, w.Labels.SignalType)
	if w.ContainerImage != "" {
		b = appendText(b, `,"container_image":`, w.ContainerImage)
	}
	if w.ContainerDigest != "" {
		b = appendText(b, `,"container_digest":`, w.ContainerDigest)
	}
	b = append(b, `,"confidence":`...)
	b = append(b, m.Score.String()...)
	b = append(b, `,"label_boost":`...)
	b = append(b, m.Boost.String()...)
	b = append(b, `,"label_penalty":`...)
	b = append(b, m.Penalty.String()...)
	b = append(b, `,"final_score":`...)
	b = append(b, m.Score.String()...)
	b = append(b, `,"rank":`...)
	b = strconv.AppendInt(b, int64(m.Rank), 10)
	if len(w.CustomLabels) > 0 {
		b = append(b, `,"custom_labels":`...)
		b = datastorage.AppendCustomLabels(b, w.CustomLabels)
	}
	b = append(b, `,"detected_labels":`...)
	b = datastorage.AppendDetectedLabels(b, &w.Detected)
	if m.Outcome != nil {
		b = appendOutcome(b, m)
	}
	if m.Terms != nil {
		b = append(b, `,"explanation":`...)
		b = appendTerms(b, m.Terms)
	}
	return append(b, '}')
}

// appendOutcome appends how a workflow fared, and what that added to its score.
func appendOutcome(b []byte, m *catalog.Match) []byte {
	b = strconv.AppendInt(append(b, `,"outcome":{"total_executions":`...), m.Outcome.Executions, 10)
	b = strconv.AppendInt(append(b, `,"successful_executions":`...), m.Outcome.Successful, 10)
	b = append(append(b, `,"lower_bound":`...), m.Outcome.LowerBound.String()...)
	b = append(append(b, `,"shift":`...), m.Shift.String()...)
	return append(b, '}')
}

func appendTerms(b []byte, terms []catalog.Term) []byte {
	for i := range terms {
		t := &terms[i]
		b = append(b, "[,"[min(i, 1)])
		b = appendText(b, `{"label":`, t.Label)
		b = appendText(b, `,"query":`, t.Query)
		b = appendText(b, `,"workflow":`, t.Workflow)
		b = append(b, `,"contribution":`...)
		b = append(b, t.Points.String()...)
		if t.Skipped {
			b = append(b, `,"skipped":true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendFunnel appends what each condition of a search excluded.
func appendFunnel(b []byte, f *catalog.Funnel) []byte {
	b = append(b, `{"workflows":`...)
	b = strconv.AppendInt(b, int64(f.Workflows), 10)
	if f.Emptied != "" {
		b = appendText(b, `,"emptied_by":`, f.Emptied)
	}
	b = append(b, `,"conditions":`...)
	for i := range f.Steps {
		step := &f.Steps[i]
		b = append(b, "[,"[min(i, 1)])
		b = appendText(b, `{"condition":`, step.Condition)
		b = appendText(b, `,"asked":`, step.Asked)
		for _, count := range [...]struct {
			member string
			n      int
		}{
			{`,"left":`, step.Left}, {`,"removed":`, step.Removed}, {`,"alone":`, step.Alone}, {`,"sole":`, step.Sole},
		} {
			b = append(b, count.member...)
			b = strconv.AppendInt(b, int64(count.n), 10)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// appendText appends a member and a text that was decoded from JSON or YAML.
func appendText(b []byte, member, s string) []byte {
	b = append(b, member...)
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
