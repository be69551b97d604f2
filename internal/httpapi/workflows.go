package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/outcome"
)

const (
	// maxWorkflowBody is the largest body of a workflow in bytes: its content may be mostly escapes.
	maxWorkflowBody = 1 << 20
	// maxStateBody is the largest body of a change of state in bytes.
	maxStateBody = 64 << 10
)

// appendItem appends a workflow as an answer has it: the record, and what is computed. Without totals, what is computed
// from executions is left out.
func appendItem(b []byte, item catalog.Item, totals map[string]outcome.Tally) []byte {
	b = datastorage.AppendWorkflow(b, item.Workflow)
	b = append(b[:len(b)-1], `,"is_latest_version":`...)
	b = strconv.AppendBool(b, item.Latest)
	if totals != nil {
		b = appendTotals(b, totals[item.Workflow.ID.String()])
	}
	return append(b, '}')
}

// answerWorkflow answers with a workflow that was just changed.
func (s *Server) answerWorkflow(c *call, status int, w *datastorage.Workflow) (*response, error) {
	item, ok := s.cfg.Catalogue.Snapshot().Get(w.ID)
	if !ok {
		return nil, noWorkflow()
	}
	item.Workflow = w
	out := buffers.get()
	return &response{status: status, body: appendItem(*out, item, s.workflowTotals(c, item)), buffer: out}, nil
}

func (s *Server) postWorkflow(c *call) (*response, error) {
	body, err := s.readBody(c, maxWorkflowBody)
	if err != nil {
		return nil, err
	}
	w, err := datastorage.DecodeWorkflow(body, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	if w, err = s.cfg.Catalogue.Create(c.Context(), w, s.actor(c)); err != nil {
		return nil, err
	}
	return s.answerWorkflow(c, http.StatusCreated, w)
}

func (s *Server) patchWorkflow(c *call) (*response, error) {
	return changeWorkflow(s, c, datastorage.DecodeWorkflowPatch, s.cfg.Catalogue.Patch)
}

func (s *Server) disableWorkflow(c *call) (*response, error) {
	return changeWorkflow(s, c, datastorage.DecodeWorkflowDisable, s.cfg.Catalogue.Disable)
}

// changeWorkflow changes the state of a workflow as a body asks for.
func changeWorkflow[T any](
	s *Server, c *call, decode func([]byte) (T, error),
	change func(context.Context, uuid.UUID, T, catalog.Actor) (*datastorage.Workflow, error),
) (*response, error) {
	id, err := c.workflowID()
	if err != nil {
		return nil, err
	}
	body, err := s.readBody(c, maxStateBody)
	if err != nil {
		return nil, err
	}
	asked, err := decode(body)
	if err != nil {
		return nil, err
	}
	w, err := change(c.Context(), id, asked, s.actor(c))
	if err != nil {
		return nil, err
	}
	return s.answerWorkflow(c, http.StatusOK, w)
}

// getWorkflow answers with one workflow. With labels of an incident, one that is not for it is not found, so that an agent
// cannot run what a search would not have offered.
func (s *Server) getWorkflow(c *call) (*response, error) {
	id, err := c.workflowID()
	if err != nil {
		return nil, err
	}
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	at, incident := p.asOf(s.cfg.Now()), p.incident(s.cfg.Now())
	if err := p.err(); err != nil {
		return nil, err
	}
	snapshot := s.at(at)
	item, ok := snapshot.Get(id)
	if !ok {
		return nil, noWorkflow()
	}
	if err := incident.excludes(snapshot, id); err != nil {
		return nil, err
	}
	var totals map[string]outcome.Tally
	if at.IsZero() {
		totals = s.workflowTotals(c, item)
	}
	out := buffers.get()
	return &response{status: http.StatusOK, body: appendItem(*out, item, totals), buffer: out}, nil
}

func (s *Server) listVersions(c *call) (*response, error) {
	name := c.PathValue("name")
	items := s.cfg.Catalogue.Snapshot().Versions(name)
	// Versions come by their meaning; the contract asks for the newest first.
	slices.SortStableFunc(items, func(a, b catalog.Item) int { return b.Workflow.CreatedAt.Compare(a.Workflow.CreatedAt) })
	totals := s.workflowTotals(c, items...)
	out := buffers.get()
	b := appendText(*out, `{"workflow_name":`, name)
	b = append(b, `,"versions":[`...)
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, item, totals)
	}
	b = append(b, `],"total":`...)
	b = strconv.AppendInt(b, int64(len(items)), 10)
	return &response{status: http.StatusOK, body: append(b, '}'), buffer: out}, nil
}
