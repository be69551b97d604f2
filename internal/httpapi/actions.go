package httpapi

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// maxActions is the largest number of workflows that an agent is shown of one action type, and defaultActions how many it
// gets unless it asks for more.
const (
	maxActions     = datastorage.MaxTopK
	defaultActions = datastorage.DefaultTopK
)

// wholeIncident reads the labels of an incident: all five mandatory ones or none.
func (p *params) wholeIncident(now time.Time) incident {
	i := p.incident(now)
	if len(i.given) == 0 {
		return i
	}
	for _, name := range mandatoryLabels {
		if !slices.Contains(i.given, name) {
			p.fault(name, "is required with the other labels of an incident")
		}
	}
	return i
}

// listActions answers with the kinds of remediation, in few words, for an agent that chooses one. With an incident: those
// that have workflows for it, the kind with the best workflow first.
func (s *Server) listActions(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	i := p.wholeIncident(s.cfg.Now())
	if err := p.err(); err != nil {
		return nil, err
	}
	snapshot := s.cfg.Catalogue.Snapshot()
	var options []catalog.ActionOption
	if len(i.given) > 0 {
		options, _ = snapshot.Actions(i.search)
	} else {
		options = allActions(snapshot)
	}
	out := buffers.get()
	b := append(*out, `{"actions":[`...)
	for n := range options {
		if n > 0 {
			b = append(b, ',')
		}
		b = appendAction(b, &options[n], len(i.given) > 0)
	}
	b = append(b, `],"total":`...)
	b = strconv.AppendInt(b, int64(len(options)), 10)
	return &response{status: http.StatusOK, body: append(b, '}'), buffer: out}, nil
}

// allActions returns every action type that is described or that a workflow in use has, by name.
func allActions(snapshot *catalog.Snapshot) []catalog.ActionOption {
	counts := map[string]int{}
	for _, item := range inUse(snapshot, nil).Items {
		if name := item.Workflow.ActionType; name != "" {
			counts[name]++
		}
	}
	var options []catalog.ActionOption
	for _, a := range snapshot.ActionTypes() {
		options = append(options, catalog.ActionOption{Name: a.Name, Count: counts[a.Name], Type: a})
		delete(counts, a.Name)
	}
	for name, n := range counts {
		options = append(options, catalog.ActionOption{Name: name, Count: n})
	}
	slices.SortFunc(options, func(a, b catalog.ActionOption) int { return strings.Compare(a.Name, b.Name) })
	return options
}

// inUse returns the latest versions that are active, of some action types or of all.
func inUse(snapshot *catalog.Snapshot, actions []string) catalog.Page {
	return snapshot.List(&catalog.Filter{
		Status: []string{datastorage.StatusActive}, Latest: true, ActionType: actions, Limit: snapshot.Len(),
	})
}

func appendAction(b []byte, o *catalog.ActionOption, scored bool) []byte {
	b = appendText(b, `{"action_type":`, o.Name)
	b = append(b, `,"workflows":`...)
	b = strconv.AppendInt(b, int64(o.Count), 10)
	if scored {
		b = append(b, `,"best_score":`...)
		b = append(b, o.Best.String()...)
	}
	if o.Type != nil {
		b = appendGuidance(b, &o.Type.Guidance)
	}
	return append(b, '}')
}

func appendGuidance(b []byte, g *datastorage.Guidance) []byte {
	for _, m := range [...]struct{ member, text string }{
		{`,"what":`, g.What}, {`,"when_to_use":`, g.WhenToUse}, {`,"when_not_to_use":`, g.WhenNotToUse}, {`,"preconditions":`, g.Preconditions},
	} {
		if m.text != "" {
			b = appendText(b, m.member, m.text)
		}
	}
	return b
}

// listActionWorkflows answers with the workflows of one action type, in few words. With an incident: those that fit it,
// the best first, each with its score.
func (s *Server) listActionWorkflows(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	i := p.wholeIncident(s.cfg.Now())
	if i.search != nil {
		p.rank(i.search)
	}
	limit := int(p.integer("limit", defaultActions, 1, maxActions))
	if err := p.err(); err != nil {
		return nil, err
	}
	name, snapshot := c.PathValue("type"), s.cfg.Catalogue.Snapshot()
	used := inUse(snapshot, []string{name})
	if _, described := snapshot.ActionType(name); !described && used.Total == 0 {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "the catalogue has no such action type")
	}
	var found *catalog.Result
	if len(i.given) > 0 {
		i.search.ActionType, i.search.TopK = name, limit
		if found, err = s.search(c, i.search); err != nil {
			return nil, err
		}
	}
	out := buffers.get()
	b := appendText(*out, `{"action_type":`, name)
	b = append(b, `,"workflows":[`...)
	total := used.Total
	if found != nil {
		total = found.Total
		for n := range found.Matches {
			b = appendOption(b, found.Matches[n].Workflow, &found.Matches[n])
		}
	} else {
		for _, item := range used.Items[:min(limit, len(used.Items))] {
			b = appendOption(b, item.Workflow, nil)
		}
	}
	b = append(b, `],"total":`...)
	b = strconv.AppendInt(b, int64(total), 10)
	return &response{status: http.StatusOK, body: append(b, '}'), buffer: out}, nil
}

// appendOption appends what an agent needs to choose a workflow; m is nil without an incident.
func appendOption(b []byte, w *datastorage.Workflow, m *catalog.Match) []byte {
	if b[len(b)-1] == '}' {
		b = append(b, ',')
	}
	b = append(b, `{"workflow_id":"`...)
	b = datastorage.AppendUUID(b, w.ID)
	b = appendText(append(b, '"'), `,"workflow_name":`, w.Name)
	b = appendText(b, `,"version":`, w.Version)
	if m != nil {
		b = append(b, `,"final_score":`...)
		b = append(b, m.Score.String()...)
		if m.Outcome != nil {
			b = appendOutcome(b, m)
		}
	}
	g := datastorage.Guidance{}
	if w.Guidance != nil {
		g = *w.Guidance
	}
	g.What = cmp.Or(g.What, w.Description)
	return append(appendGuidance(b, &g), '}')
}
