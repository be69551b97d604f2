package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// Catalogue is the workflow catalogue of a server; see catalog.Keeper, which says what each method promises. Errors are
// *datastorage.Error.
type Catalogue interface {
	// Snapshot returns the catalogue as it is now. It needs no database.
	Snapshot() *catalog.Snapshot
	// Create publishes a workflow and returns it as it is stored; CodeConflict when its name and version are taken.
	Create(ctx context.Context, w *datastorage.Workflow, by catalog.Actor) (*datastorage.Workflow, error)
	// Patch changes the state of a workflow; CodeNotFound when there is none.
	Patch(ctx context.Context, id uuid.UUID, p datastorage.WorkflowPatch, by catalog.Actor) (*datastorage.Workflow, error)
	// Disable disables a workflow; CodeNotFound when there is none.
	Disable(ctx context.Context, id uuid.UUID, d datastorage.WorkflowDisable, by catalog.Actor) (*datastorage.Workflow, error)
	// PutEventType stores the next version of an event type, unless the newest one says the same: then changed is false.
	PutEventType(ctx context.Context, t *datastorage.EventType, how catalog.PutEventType, by catalog.Actor) (stored *datastorage.EventType, changed bool, err error)
	// Import stores workflows and action types in their order; with an error come the results of those that were stored.
	Import(ctx context.Context, items []catalog.ImportItem, opts catalog.ImportOptions) ([]catalog.Imported, error)
}

// Recorder records the evidence of searches, see catalog.Recorder. CodeUnavailable says that a search was not recorded, and
// must not be answered.
type Recorder interface {
	Record(ctx context.Context, e *catalog.Evidence, at time.Time, took time.Duration) error
}

// Rankings is what is known of how workflows fared; see catalog.Rankings.
type Rankings interface {
	Outcomes(ctx context.Context, incidentType string) (*catalog.Outcomes, error)
}

// past is the last catalogue of the past that was asked for: making one takes as long as making all of it, so one is made
// at a time, and kept.
type past struct {
	mu      sync.Mutex
	at      time.Time
	version int64 // of the catalogue that it was made from
	made    *catalog.Snapshot
}

// at returns the catalogue as it was at a time; the zero time stands for now.
func (s *Server) at(t time.Time) *catalog.Snapshot {
	now := s.cfg.Catalogue.Snapshot()
	if t.IsZero() {
		return now
	}
	p := &s.past
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made == nil || !p.at.Equal(t) || p.version != now.Version() {
		p.at, p.version, p.made = t, now.Version(), now.AsOf(t)
	}
	return p.made
}

// actor is who sent a request, as the events of its changes say it.
func (s *Server) actor(c *call) catalog.Actor {
	if s.cfg.Access.Clients == nil {
		return catalog.Actor{Type: "address", ID: c.client}
	}
	return catalog.Actor{Type: "client", ID: c.client}
}

// workflowID reads the identifier in the path. A malformed one is one that nobody has.
func (c *call) workflowID() (uuid.UUID, error) {
	id, err := datastorage.ParseUUID(c.PathValue("id"))
	if err != nil {
		return uuid.Nil, noWorkflow()
	}
	return id, nil
}

func noWorkflow() error {
	return datastorage.Errorf(datastorage.CodeNotFound, "no workflow has this workflow_id")
}

// asOf reads the parameter as_of. A time in the future stands for now, the zero time.
func (p *params) asOf(now time.Time) time.Time {
	s := p.text("as_of")
	if s == "" {
		return time.Time{}
	}
	t, err := datastorage.ParseTime(s, now)
	if err != nil {
		p.faults["as_of"] = "as_of: " + err.Error()
	}
	if err != nil || !t.Before(now) {
		return time.Time{}
	}
	return t.Truncate(time.Microsecond)
}

// flag reads a parameter that is true or false.
func (p *params) flag(name string) bool { return p.enum(name, "true", "false") == "true" }
