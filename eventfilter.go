package datastorage

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// EventFilter tells whether single events match the filters of a query, as the stores tell by SQL. It may be used
// concurrently.
type EventFilter struct {
	query EventQuery
	// trace is the member that an event of the trace holds, and seeks nothing when there is no such filter.
	trace []byte
	// quoted and literal are the two texts that the detail may have, and quotedMember and literalMember what a body with
	// it contains.
	quoted, literal             string
	quotedMember, literalMember []byte
}

// NewEventFilter returns the filter of a query, whose order and paging it disregards.
func NewEventFilter(q *EventQuery) *EventFilter {
	f := &EventFilter{query: *q}
	if q.TraceID != "" {
		f.trace = []byte(`"trace_id":` + QuoteJSON(q.TraceID))
	}
	if n := len(q.DetailPath); n > 0 {
		f.quoted, f.literal = DetailTexts(q.DetailValue)
		member := QuoteJSON(q.DetailPath[n-1]) + ":"
		f.quotedMember, f.literalMember = []byte(member+f.quoted), []byte(member+f.literal)
	}
	return f
}

// Match reports whether an event matches every filter. body is its canonical body; members that are not of the contract
// may follow, as in the row of a query.
func (f *EventFilter) Match(h *EventHeader, body []byte) bool {
	q := &f.query
	return matchesText(h.CorrelationID, q.CorrelationID) &&
		(matchesText(h.Type, q.EventType) || q.EventTypePrefix && strings.HasPrefix(h.Type, q.EventType)) &&
		matchesText(h.Category, q.Category) &&
		matchesText(h.Outcome, q.Outcome) &&
		matchesText(h.Severity, q.Severity) &&
		matchesText(h.Namespace, q.Namespace) &&
		matchesText(h.ClusterName, q.ClusterName) &&
		matchesText(h.ActorID, q.ActorID) &&
		matchesText(h.ActorType, q.ActorType) &&
		matchesText(h.ResourceType, q.ResourceType) &&
		matchesText(h.ResourceID, q.ResourceID) &&
		(q.ParentID == uuid.Nil || h.ParentID == q.ParentID) &&
		(q.Since.IsZero() || !h.Time.Before(q.Since)) &&
		(q.Until.IsZero() || !h.Time.After(q.Until)) &&
		(q.Size == 0 || h.LogIndex < q.Size) &&
		(q.TraceID == "" || f.matchesTrace(body)) &&
		(len(q.DetailPath) == 0 || f.matchesDetail(body))
}

func matchesText(value, filter string) bool { return filter == "" || value == filter }

// matchesTrace looks for the text first: few events have it anywhere.
func (f *EventFilter) matchesTrace(body []byte) bool {
	return bytes.Contains(body, f.trace) && string(memberOf(body, "trace_id")) == QuoteJSON(f.query.TraceID)
}

// matchesDetail looks for the text first: a body is canonical, so equal values have equal text.
func (f *EventFilter) matchesDetail(body []byte) bool {
	if !bytes.Contains(body, f.quotedMember) && !bytes.Contains(body, f.literalMember) {
		return false
	}
	value := memberOf(body, "event_data")
	for _, name := range f.query.DetailPath {
		value = memberOf(value, name)
	}
	return string(value) == f.quoted || string(value) == f.literal
}

// memberOf returns the value of a member of a JSON object; nil when there is none, or it is no object.
func memberOf(object jsontext.Value, name string) jsontext.Value {
	if len(object) == 0 || object[0] != '{' {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return nil
		}
		found := token.String() == name
		value, err := dec.ReadValue()
		switch {
		case err != nil:
			return nil
		case found:
			return value.Clone()
		}
	}
	return nil
}

// DetailTexts returns the texts of the JSON values that a filter by detail finds: value as a string, and as the number or
// boolean that is written like it. They are equal when there is no such number or boolean.
func DetailTexts(value string) (quoted, literal string) {
	quoted = QuoteJSON(value)
	if isLiteral(value) {
		return quoted, value
	}
	return quoted, quoted
}

// isLiteral reports whether s is a JSON number, true or false, with nothing around it.
func isLiteral(s string) bool {
	if s == "true" || s == "false" {
		return true
	}
	if s == "" || strings.ContainsAny(s, " \t\r\n") {
		return false
	}
	v := jsontext.Value(s)
	return v.Kind() == '0' && v.IsValid()
}

// QuoteJSON returns s as a JSON string in canonical form. Invalid UTF-8 becomes U+FFFD.
func QuoteJSON(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		b, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return string(b)
}
