package datastorage

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// field describes one member of an event in a request.
type field struct {
	name string
	bit  Field
	// min and max bound the length of a text in characters; min 0 means optional.
	min, max int
}

// fields are the members of an event with the limits of the HTTP contract, section 2.
var fields = []field{
	{"actor_id", FieldActorID, 0, 255},
	{"actor_type", FieldActorType, 0, 50},
	{"cluster_name", FieldClusterName, 0, 255},
	{"correlation_id", FieldCorrelationID, 1, 255},
	{"duration_ms", FieldDurationMS, 0, 0},
	{"error_code", FieldErrorCode, 0, 100},
	{"error_message", FieldErrorMessage, 0, 4096},
	{"event_action", FieldAction, 1, 50},
	{"event_category", FieldCategory, 1, 50},
	{"event_data", FieldData, 1, 0},
	{"event_id", FieldID, 0, 0},
	{"event_outcome", FieldOutcome, 1, 0},
	{"event_timestamp", FieldTime, 1, 0},
	{"event_type", FieldType, 1, 100},
	{"is_sensitive", FieldSensitive, 0, 0},
	{"namespace", FieldNamespace, 0, 253},
	{"parent_event_id", FieldParentID, 0, 0},
	{"producer_id", FieldProducerID, 0, 255},
	{"producer_seq", FieldProducerSeq, 0, 0},
	{"resource_id", FieldResourceID, 0, 255},
	{"resource_type", FieldResourceType, 0, 100},
	{"retention_days", FieldRetention, 0, 0},
	{"severity", FieldSeverity, 0, 20},
	{"span_id", FieldSpanID, 0, 0},
	{"trace_id", FieldTraceID, 0, 0},
	{"version", FieldVersion, 1, 20},
}

var (
	fieldNames   = map[string]*field{}
	unknownField = &field{}
)

func init() {
	for i := range fields {
		fieldNames[fields[i].name] = &fields[i]
	}
}

// fieldByName returns the field that a quoted member name stands for, unknownField when there is none.
func fieldByName(quoted jsontext.Value) (*field, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		if f, ok := fieldNames[string(quoted[1:len(quoted)-1])]; ok {
			return f, nil
		}
		return unknownField, nil
	}
	if hasNUL(quoted) {
		return nil, Errorf(CodeValidation, "a member name of the body must not contain U+0000")
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil, Errorf(CodeValidation, "the body is not valid JSON: bad member name")
	}
	if f, ok := fieldNames[string(name)]; ok {
		return f, nil
	}
	return unknownField, nil
}

// maxSafeInteger is 2^53−1, the largest duration_ms.
const maxSafeInteger = 1<<53 - 1

// The earliest and latest event_timestamp that can be stored, whatever the window.
var (
	minTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// eventDecoder fills one event, member by member, and gathers the faults of all of them.
type eventDecoder struct {
	rules  *Rules
	event  *Event
	now    time.Time
	faults map[string]string
	failed FieldSet
}

func (v *eventDecoder) fault(f *field, format string, args ...any) {
	if v.faults == nil {
		v.faults = map[string]string{}
	}
	v.failed |= FieldSet(f.bit)
	v.faults[f.name] = f.name + " " + fmt.Sprintf(format, args...)
}

// member decodes one member whose value obeys the rules of every value. null and "" on a field leave it absent.
func (v *eventDecoder) member(f *field, raw jsontext.Value) {
	if f == unknownField || string(raw) == "null" || string(raw) == `""` {
		return
	}
	e := v.event
	v.event.Sent |= FieldSet(f.bit)
	switch f.bit {
	case FieldActorID:
		e.ActorID = v.text(f, raw)
	case FieldActorType:
		e.ActorType = v.text(f, raw)
	case FieldClusterName:
		e.ClusterName = v.text(f, raw)
	case FieldCorrelationID:
		e.CorrelationID = v.text(f, raw)
	case FieldDurationMS:
		e.DurationMS = v.integer(f, raw, 0, maxSafeInteger)
	case FieldErrorCode:
		e.ErrorCode = v.text(f, raw)
	case FieldErrorMessage:
		e.ErrorMessage = v.text(f, raw)
	case FieldAction:
		e.Action = v.text(f, raw)
	case FieldCategory:
		e.Category = v.category(f, raw)
	case FieldData:
		e.Data = v.data(f, raw)
	case FieldID:
		e.ID = v.id(f, raw)
	case FieldOutcome:
		e.Outcome = v.enum(f, raw, Outcomes)
	case FieldTime:
		e.Time = v.time(f, raw)
	case FieldType:
		e.Type = v.text(f, raw)
	case FieldSensitive:
		e.Sensitive = v.boolean(f, raw)
	case FieldNamespace:
		e.Namespace = v.text(f, raw)
	case FieldParentID:
		e.ParentID = v.id(f, raw)
	case FieldProducerID:
		e.ProducerID = v.text(f, raw)
	case FieldProducerSeq:
		e.ProducerSeq = v.integer(f, raw, 0, math.MaxInt64)
	case FieldResourceID:
		e.ResourceID = v.text(f, raw)
	case FieldResourceType:
		e.ResourceType = v.text(f, raw)
	case FieldRetention:
		if n := v.integer(f, raw, 1, MaxRetentionDays); n != nil {
			e.Retention = int(*n)
		}
	case FieldSeverity:
		e.Severity = v.text(f, raw)
	case FieldSpanID:
		e.SpanID = v.hex(f, raw, 16)
	case FieldTraceID:
		e.TraceID = v.hex(f, raw, 32)
	case FieldVersion:
		e.Version = v.text(f, raw)
	}
}

// finish checks what only the whole event can tell, and fills in the defaults.
func (v *eventDecoder) finish() {
	e := v.event
	for i := range fields {
		if f := &fields[i]; f.min > 0 && !e.Sent.Has(f.bit) && !v.failed.Has(f.bit) {
			v.fault(f, "is required")
		}
	}
	hasID, hasSeq := e.Sent.Has(FieldProducerID), e.Sent.Has(FieldProducerSeq)
	if hasID && !hasSeq && !v.failed.Has(FieldProducerSeq) {
		v.fault(fieldNames["producer_seq"], "is required with producer_id")
	}
	if hasSeq && !hasID && !v.failed.Has(FieldProducerID) {
		v.fault(fieldNames["producer_id"], "is required with producer_seq")
	}
	setDefault(&e.ActorType, "service")
	setDefault(&e.ActorID, e.Category+"-service")
	setDefault(&e.ResourceType, e.Category)
	setDefault(&e.ResourceID, e.CorrelationID)
	setDefault(&e.Severity, "info")
	if e.Retention == 0 {
		e.Retention = v.rules.RetentionDays
		if days, ok := v.rules.RetentionByCategory[e.Category]; ok {
			e.Retention = days
		}
	}
}

func setDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// text decodes a string of at most f.max characters.
func (v *eventDecoder) text(f *field, raw jsontext.Value) string {
	s, ok := unquote(raw)
	switch {
	case !ok:
		v.fault(f, "must be a string")
	case len(s) > f.max && utf8.RuneCountInString(s) > f.max:
		v.fault(f, "must be at most %d characters", f.max)
	}
	return s
}

func (v *eventDecoder) enum(f *field, raw jsontext.Value, allowed []string) string {
	s, ok := unquote(raw)
	if !ok || !slices.Contains(allowed, s) {
		v.fault(f, "must be one of: %s", strings.Join(allowed, ", "))
	}
	return s
}

func (v *eventDecoder) category(f *field, raw jsontext.Value) string {
	if v.rules.AnyCategory {
		return v.text(f, raw)
	}
	return v.enum(f, raw, v.rules.Categories)
}

func (v *eventDecoder) integer(f *field, raw jsontext.Value, lo, hi int64) *int64 {
	if raw.Kind() != '0' || bytes.ContainsAny(raw, ".eE") {
		v.fault(f, "must be an integer, written without fraction or exponent")
		return nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case raw[0] == '-' && n < lo:
		v.fault(f, "must be at least %d", lo)
	case err != nil || n > hi:
		v.fault(f, "must be at most %d", hi)
	case n < lo:
		v.fault(f, "must be at least %d", lo)
	}
	return &n
}

func (v *eventDecoder) boolean(f *field, raw jsontext.Value) bool {
	if k := raw.Kind(); k != 't' && k != 'f' {
		v.fault(f, "must be true or false")
	}
	return raw.Kind() == 't'
}

func (v *eventDecoder) id(f *field, raw jsontext.Value) uuid.UUID {
	s, ok := unquote(raw)
	id, err := ParseUUID(s)
	if !ok || err != nil {
		v.fault(f, "must be a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
		return uuid.Nil
	}
	if id == uuid.Nil {
		if f.bit == FieldParentID {
			v.fault(f, "is wrong: parent event does not exist")
		} else {
			v.fault(f, "must not be the nil UUID")
		}
	}
	return id
}

// ParseUUID reads the form with 36 characters and no other.
func ParseUUID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("a UUID has 36 characters, not %d", len(s))
	}
	return uuid.Parse(s)
}

func (v *eventDecoder) hex(f *field, raw jsontext.Value, digits int) string {
	s, ok := unquote(raw)
	if !ok || !isLowerHex(s, digits) {
		v.fault(f, "must be %d lower-case hexadecimal digits", digits)
	}
	return s
}

func isLowerHex(s string, digits int) bool {
	if len(s) != digits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (v *eventDecoder) time(f *field, raw jsontext.Value) time.Time {
	s, ok := unquote(raw)
	t, err := ParseTimestamp(s)
	if !ok || err != nil {
		v.fault(f, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z")
		return time.Time{}
	}
	switch {
	case t.Before(minTime) || !t.Before(maxTime):
		v.fault(f, "must lie between the years 1970 and 2199")
	case !v.rules.Window:
	case t.Before(truncate(v.now.Add(-v.rules.Past))):
		v.fault(f, "must not be more than %s in the past", span(v.rules.Past))
	case t.After(v.now.Add(v.rules.Future)):
		v.fault(f, "must not be more than %s in the future", span(v.rules.Future))
	}
	return t
}

// ParseTimestamp reads an RFC 3339 time and returns it in UTC, truncated to whole microseconds.
func ParseTimestamp(s string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return time.Time{}, err
	}
	return truncate(t), nil
}

// truncate drops what is finer than a microsecond. time.Time.Truncate counts from year 1, so it rounds down.
func truncate(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// span writes a duration as a person would: 7 days, 5 minutes.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day && d%day == 0:
		return plural(int64(d/day), "day")
	case d >= time.Minute && d%time.Minute == 0:
		return plural(int64(d/time.Minute), "minute")
	default:
		return d.String()
	}
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.FormatInt(n, 10) + " " + unit + "s"
}

// data puts event_data into canonical form.
func (v *eventDecoder) data(f *field, raw jsontext.Value) jsontext.Value {
	if raw.Kind() != '{' {
		v.fault(f, "must be a JSON object")
		return nil
	}
	if depth(raw) > MaxEventDataDepth {
		v.fault(f, "must be nested at most %d deep", MaxEventDataDepth)
		return nil
	}
	data, err := Canonical(raw)
	if err != nil {
		v.fault(f, "is not valid JSON")
		return nil
	}
	if len(data) > MaxEventDataBytes {
		v.fault(f, "must be at most %d bytes in canonical form", MaxEventDataBytes)
	}
	return data
}

// unquote decodes a JSON string; ok is false for any other kind of value.
func unquote(raw jsontext.Value) (s string, ok bool) {
	if raw.Kind() != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return string(b), err == nil
}
