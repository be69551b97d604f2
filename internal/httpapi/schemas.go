package httpapi

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/time/rate"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/eventtype"
)

// maxToldViolations is how many violations of schemas an answer tells.
const maxToldViolations = 100

// maxCheckTime bounds the check of one request: an event more is begun only within it.
const maxCheckTime = 2 * time.Second

// violationDoc is one rule of a schema that an event breaks.
type violationDoc struct {
	Index     *int   `json:"index,omitzero"` // in a batch
	EventType string `json:"event_type"`
	Version   int64  `json:"version"`
	eventtype.Violation
}

// warnings are violations that do not keep events from being stored.
type warnings struct {
	told  []violationDoc
	total int
}

// schemaRule is what the sentence of a violation holds and no other does.
const schemaRule = "the schema's rule"

// checkSchemas checks events against the schemas of their types: an error when one is refused, else what is to be told
// with the answer. An event that is stored already is left to the Writer, which answers it as it did the first time.
func (s *Server) checkSchemas(c *call, events []datastorage.Event, indexed bool) (*warnings, error) {
	registry := s.cfg.Catalogue.Snapshot().EventTypes()
	if !registry.Checks() {
		return nil, nil
	}
	var told, refused warnings
	until := s.cfg.Now().Add(maxCheckTime)
	for i := range events {
		if i > 0 && s.cfg.Now().After(until) {
			return nil, datastorage.Errorf(datastorage.CodeUnavailable, "checking the events against the schemas of their types takes too long; nothing was stored, send fewer at once")
		}
		found := s.checkSchema(c, registry, &events[i])
		if found == nil {
			continue
		}
		to := &told
		if found.Type.Mode == datastorage.ModeEnforce {
			to = &refused
		}
		to.add(found, i, indexed)
	}
	if refused.total > 0 {
		return nil, refused.err()
	}
	return &told, nil
}

// checkSchema checks one event; nil when there is nothing to tell.
func (s *Server) checkSchema(c *call, registry *eventtype.Registry, e *datastorage.Event) *eventtype.Finding {
	found, err := registry.Check(e.Type, e.Data)
	if err != nil {
		s.schemas.broken(err)
		return nil
	}
	if found == nil || found.Type.Mode == datastorage.ModeEnforce && s.isStored(c, e) {
		return nil
	}
	s.metrics.violations.WithLabelValues(found.Type.Mode).Inc()
	s.schemas.found(c, found)
	return found
}

// isStored reports whether an event with the producer's own identifier is stored. While the store is away nobody knows.
func (s *Server) isStored(c *call, e *datastorage.Event) bool {
	if !e.Sent.Has(datastorage.FieldID) {
		return false
	}
	_, err := s.cfg.Reader.Event(c.Context(), e.ID)
	return err == nil
}

func (w *warnings) add(found *eventtype.Finding, index int, indexed bool) {
	w.total += found.Total
	for _, v := range found.Violations {
		if len(w.told) == maxToldViolations {
			return
		}
		d := violationDoc{EventType: found.Type.Name, Version: found.Type.Version, Violation: v}
		if indexed {
			d.Index = &index
		}
		w.told = append(w.told, d)
	}
}

// err is the error of a request that enforced schemas refuse.
func (w *warnings) err() error {
	e := &datastorage.Error{Code: datastorage.CodeValidation, Fields: map[string]string{}}
	first := map[string]string{}
	for i := range w.told {
		v := &w.told[i]
		name, sentence := v.Path, fmt.Sprintf("%s (%s %s, version %d of %s)", v.String(), schemaRule, v.Rule, v.Version, v.EventType)
		if v.Index != nil {
			name = strconv.Itoa(*v.Index) + "." + name
		}
		if other, taken := e.Fields[name]; taken {
			sentence = other + "; " + sentence
		}
		e.Fields[name] = sentence
		if v.Index == nil || *v.Index == *w.told[0].Index {
			first[name] = sentence
		}
	}
	e.Detail = datastorage.FieldDetail(first)
	if index := w.told[0].Index; index != nil {
		e.Detail = fmt.Sprintf("event at index %d: %s", *index, e.Detail)
	}
	e.Extension = w.json("violations")
	return e
}

// json is an object that holds the violations under a name, and how many there are.
func (w *warnings) json(name string) []byte {
	text, err := json.Marshal(map[string]any{name: w.told, name + "_total": w.total}, json.Deterministic(true))
	if err != nil {
		return nil // texts and numbers can always be encoded
	}
	return text
}

// append adds the warnings to an answer, which is a JSON object that is not empty.
func (w *warnings) append(answer []byte) []byte {
	if w == nil || w.total == 0 {
		return answer
	}
	answer[len(answer)-1] = ','
	return append(answer, w.json("warnings")[1:]...)
}

// schemaLog writes a sample of the events that break their schemas.
type schemaLog struct {
	log   *slog.Logger
	now   func() time.Time
	limit *rate.Limiter
}

// The sample: a burst, then one line at a time.
const (
	schemaLogEvery = 10 * time.Second
	schemaLogBurst = 10
)

func newSchemaLog(log *slog.Logger, now func() time.Time) *schemaLog {
	return &schemaLog{log, now, rate.NewLimiter(rate.Every(schemaLogEvery), schemaLogBurst)}
}

// found logs the first violation of an event, without its values.
func (l *schemaLog) found(c *call, f *eventtype.Finding) {
	if l.limit.AllowN(l.now(), 1) {
		l.log.Warn("event_data breaks the schema of its event type", "event_type", f.Type.Name, "version", f.Type.Version,
			"mode", f.Type.Mode, "path", f.Violations[0].Path, "rule", f.Violations[0].Rule, "violations", f.Total,
			"client", c.client, "request_id", c.id)
	}
}

// broken logs that a stored schema cannot be used; events of its type are taken.
func (l *schemaLog) broken(err error) {
	if l.limit.AllowN(l.now(), 1) {
		l.log.Error("the stored schema of an event type cannot be compiled; its events are not checked", "error", err)
	}
}
