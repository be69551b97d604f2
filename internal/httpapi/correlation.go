package httpapi

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// maxTreeEvents is how many events of a correlation its summary shows in the tree.
const maxTreeEvents = 1000

// maxActors is how many actors a summary names.
const maxActors = 1000

// correlation sums up all events of one correlation_id.
type correlation struct {
	ID              string              `json:"correlation_id"`
	FirstEventAt    time.Time           `json:"first_event_at"`
	LastEventAt     time.Time           `json:"last_event_at"`
	DurationMS      int64               `json:"duration_ms"`
	EventCount      int64               `json:"event_count"`
	Categories      []categoryCount     `json:"categories"`
	Outcomes        map[string]int64    `json:"outcomes"`
	Severity        string              `json:"severity"`
	Resource        correlationResource `json:"resource"`
	Actors          []*actorCount       `json:"actors"`
	ActorsTruncated bool                `json:"actors_truncated,omitzero"`
	Events          []*eventNode        `json:"events"`
	EventsTruncated bool                `json:"events_truncated,omitzero"`
}

type categoryCount struct {
	Category string           `json:"category"`
	Count    int64            `json:"count"`
	Outcomes map[string]int64 `json:"outcomes"`
}

type correlationResource struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	Namespace   string `json:"namespace,omitzero"`
	ClusterName string `json:"cluster_name,omitzero"`
}

type actorCount struct {
	Type  string `json:"actor_type"`
	ID    string `json:"actor_id"`
	Count int64  `json:"count"`
}

// eventNode is an event in the parent tree.
type eventNode struct {
	ID       uuid.UUID    `json:"event_id"`
	Type     string       `json:"event_type"`
	Category string       `json:"event_category"`
	Outcome  string       `json:"event_outcome"`
	Time     time.Time    `json:"event_timestamp"`
	LogIndex int64        `json:"log_index"`
	Children []*eventNode `json:"children"`

	parent uuid.UUID
}

func (s *Server) getCorrelation(c *call) (*response, error) {
	var err error
	defer s.metrics.query("get_correlation", s.cfg.Now(), &err)
	id := c.PathValue("id")
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "no event has this correlation_id")
	}
	sum := summary{categories: map[string]*categoryCount{}, actors: map[actorKey]*actorCount{}}
	sum.out.ID, sum.out.Outcomes = id, noOutcomes()
	err = s.cfg.Reader.Correlation(c.Context(), id, sum.add)
	if err != nil {
		return nil, err
	}
	if sum.out.EventCount == 0 {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "no event has this correlation_id")
	}
	return encode(http.StatusOK, sum.finish())
}

// noOutcomes counts no event of any outcome.
func noOutcomes() map[string]int64 {
	counts := make(map[string]int64, len(datastorage.Outcomes))
	for _, outcome := range datastorage.Outcomes {
		counts[outcome] = 0
	}
	return counts
}

type actorKey struct{ kind, id string }

// summary gathers a correlation event by event, oldest first.
type summary struct {
	out        correlation
	categories map[string]*categoryCount
	actors     map[actorKey]*actorCount
	nodes      []*eventNode
}

func (s *summary) add(h *datastorage.EventHeader) error {
	o := &s.out
	if o.EventCount == 0 {
		o.FirstEventAt, o.Severity = h.Time, h.Severity
		o.Resource = correlationResource{h.ResourceType, h.ResourceID, h.Namespace, h.ClusterName}
	}
	o.EventCount++
	o.LastEventAt = h.Time
	o.Outcomes[h.Outcome]++
	if o.Severity == "info" {
		o.Severity = h.Severity
	}
	cat := s.categories[h.Category]
	if cat == nil {
		cat = &categoryCount{Category: h.Category, Outcomes: noOutcomes()}
		s.categories[h.Category] = cat
	}
	cat.Count++
	cat.Outcomes[h.Outcome]++
	s.addActor(actorKey{h.ActorType, h.ActorID})
	if len(s.nodes) == maxTreeEvents {
		o.EventsTruncated = true
		return nil
	}
	s.nodes = append(s.nodes, &eventNode{
		ID: h.ID, Type: h.Type, Category: h.Category, Outcome: h.Outcome, Time: h.Time, LogIndex: h.LogIndex,
		Children: []*eventNode{}, parent: h.ParentID,
	})
	return nil
}

func (s *summary) addActor(key actorKey) {
	a := s.actors[key]
	if a == nil {
		if len(s.actors) == maxActors {
			s.out.ActorsTruncated = true
			return
		}
		a = &actorCount{Type: key.kind, ID: key.id}
		s.actors[key] = a
		s.out.Actors = append(s.out.Actors, a)
	}
	a.Count++
}

func (s *summary) finish() *correlation {
	o := &s.out
	o.DurationMS = o.LastEventAt.Sub(o.FirstEventAt).Milliseconds()
	for _, cat := range s.categories {
		o.Categories = append(o.Categories, *cat)
	}
	slices.SortFunc(o.Categories, func(a, b categoryCount) int { return cmp.Compare(a.Category, b.Category) })
	byID := make(map[uuid.UUID]*eventNode, len(s.nodes))
	for _, n := range s.nodes {
		byID[n.ID] = n
	}
	// A parent is stored before its children, so the tree has no cycles. Nodes come in order of time and id.
	o.Events = []*eventNode{}
	for _, n := range s.nodes {
		if parent := byID[n.parent]; parent != nil {
			parent.Children = append(parent.Children, n)
		} else {
			o.Events = append(o.Events, n)
		}
	}
	return o
}
