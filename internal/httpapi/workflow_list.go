package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
	"github.com/datastorage-io/datastorage/internal/outcome"
)

const (
	// defaultWorkflows is how many workflows a page of the list has unless the query says otherwise.
	defaultWorkflows = 100
	// maxWords is the longest text to look for, in characters.
	maxWords = 200
	// streamSize is how much of a long answer is made before it is sent, in bytes.
	streamSize = 64 << 10
)

// workflowFilter reads the filters that a list and an export share.
func (p *params) workflowFilter() catalog.Filter {
	one := func(name string) []string {
		if s := p.text(name); s != "" {
			return []string{s}
		}
		return nil
	}
	f := catalog.Filter{
		WorkflowName: one("workflow_name"), ActionType: one("action_type"), SignalType: one("signal_type"), Severity: one("severity"),
		Component: one("component"), Environment: one("environment"), Priority: one("priority"),
	}
	if s := p.enum("status", datastorage.WorkflowStatuses...); s != "" {
		f.Status = []string{s}
	}
	names := p.names(customPrefix)
	if len(names) > datastorage.MaxCustomLabels {
		p.fault("custom_labels", "must have at most %d keys", datastorage.MaxCustomLabels)
		return f
	}
	for _, name := range names {
		if f.CustomLabels == nil {
			f.CustomLabels = map[string][]string{}
		}
		key := strings.TrimSuffix(strings.TrimPrefix(name, customPrefix), "]")
		f.CustomLabels[key] = nil
		if value := p.text(name); value != "" {
			f.CustomLabels[key] = strings.Split(value, ",")
		}
	}
	return f
}

func (s *Server) listWorkflows(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	f := p.workflowFilter()
	if f.Text = p.text("q"); utf8.RuneCountInString(f.Text) > maxWords {
		p.fault("q", "must be at most %d characters", maxWords)
	}
	f.Facets = p.flag("facets")
	f.Limit = int(p.integer("limit", defaultWorkflows, 1, datastorage.MaxLimit))
	f.Offset = int(p.integer("offset", 0, 0, 1<<40))
	at := p.asOf(s.cfg.Now())
	if err := p.err(); err != nil {
		return nil, err
	}
	page := s.at(at).List(&f)
	totals := s.listTotals(c, at, page.Items)
	c.w.Header().Set("Content-Type", "application/json")
	w := chunks{c: c}
	w.b = append(w.b, `{"workflows":[`...)
	for i := range page.Items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendListItem(w.b, &page.Items[i], totals)
		w.send(streamSize)
	}
	w.b = append(w.b, `],"limit":`...)
	w.b = strconv.AppendInt(w.b, int64(f.Limit), 10)
	w.b = append(w.b, `,"offset":`...)
	w.b = strconv.AppendInt(w.b, int64(f.Offset), 10)
	w.b = append(w.b, `,"total":`...)
	w.b = strconv.AppendInt(w.b, int64(page.Total), 10)
	if f.Facets {
		w.b = appendFacets(append(w.b, `,"facets":`...), page.Facets)
	}
	w.b = append(w.b, '}')
	w.send(0)
	return nil, nil
}

// chunks sends a long answer as it is made, so that no answer is in memory as a whole.
type chunks struct {
	c *call
	b []byte
}

// send sends what there is when it is at least so many bytes. A client that went away is not a fault of ours.
func (w *chunks) send(least int) {
	if len(w.b) >= least {
		if w.c.Method != http.MethodHead {
			n, _ := w.c.w.Write(w.b)
			w.c.streamed += n
		}
		w.b = w.b[:0]
	}
}

// listTotals counts the executions of the workflows of a list; nil when that is not known now, or the list is of the past.
func (s *Server) listTotals(c *call, at time.Time, listed []catalog.ListItem) map[string]outcome.Tally {
	if !at.IsZero() {
		return nil
	}
	items := make([]catalog.Item, len(listed))
	for i := range listed {
		items[i] = listed[i].Item
	}
	return s.workflowTotals(c, items...)
}

func appendListItem(b []byte, item *catalog.ListItem, totals map[string]outcome.Tally) []byte {
	b = appendItem(b, item.Item, totals)
	if item.Highlights == nil {
		return b
	}
	b = append(b[:len(b)-1], `,"relevance":`...)
	b = strconv.AppendInt(b, int64(item.Relevance), 10)
	b = append(b, `,"highlights":[`...)
	for i, h := range item.Highlights {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, `{"field":`, h.Field)
		b = append(b, `,"parts":[`...)
		for j, part := range h.Parts {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendText(b, `{"text":`, part.Text)
			b = append(b, `,"found":`...)
			b = strconv.AppendBool(b, part.Found)
			b = append(b, '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, "]}"...)
}

func appendFacets(b []byte, facets []catalog.Facet) []byte {
	b = append(b, '{')
	for i, f := range facets {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, "", f.Field), ":["...)
		for j, v := range f.Values {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendText(b, `{"value":`, v.Value)
			b = append(b, `,"count":`...)
			b = strconv.AppendInt(b, int64(v.Count), 10)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// exportCatalogue answers with the documents of all action types, unless the query selects workflows, and of the workflows
// that it selects, the oldest first: in the order in which an import makes the same catalogue of them.
func (s *Server) exportCatalogue(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	f := p.workflowFilter()
	at := p.asOf(s.cfg.Now())
	if err := p.err(); err != nil {
		return nil, err
	}
	snapshot := s.at(at)
	f.Limit = snapshot.Len()
	items := snapshot.List(&f).Items
	c.w.Header().Set("Content-Type", yamlTypes[0])
	w := chunks{c: c}
	if len(items) == snapshot.Len() {
		for _, a := range snapshot.ActionTypes() {
			w.b = catalogdoc.AppendActionType(w.b, a)
			w.send(streamSize)
		}
	}
	for _, item := range slices.Backward(items) {
		w.b = catalogdoc.AppendWorkflow(w.b, item.Workflow)
		w.send(streamSize)
	}
	w.send(0)
	return nil, nil
}
