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

// requiredFields are the fields that every event must have.
var requiredFields = func() (required FieldSet) {
	for _, f := range fields {
		if f.min > 0 {
			required |= FieldSet(f.bit)
		}
	}
	return required
}()

// fieldsByLength are the fields by the length of their names. Few have the same, so that to look at those takes less than to
// hash the name.
var fieldsByLength = func() (byLength [16][]*field) {
	for i := range fields {
		f := &fields[i]
		byLength[len(f.name)] = append(byLength[len(f.name)], f)
	}
	return byLength
}()

// fieldOf returns the field of that name, nil when there is none.
func fieldOf[T ~string | ~[]byte](name T) *field {
	if len(name) >= len(fieldsByLength) {
		return nil
	}
	for _, f := range fieldsByLength[len(name)] {
		if f.name == string(name) {
			return f
		}
	}
	return nil
}

// fieldByName returns the field that a quoted member name stands for, nil when there is none.
func (v *eventDecoder) fieldByName(quoted jsontext.Value) *field {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return fieldOf(quoted[1 : len(quoted)-1])
	}
	if hasNUL(quoted) {
		v.unknownFault("a member name of the body must not contain U+0000")
		return nil
	}
	name, _ := unquote(quoted)
	return fieldOf(name)
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
	event  Event
	now    time.Time
	canon  *canonicalizer
	faults faults // nil while there is none
	failed FieldSet
	strs   arena
}

func (v *eventDecoder) fault(f *field, format string, args ...any) {
	if v.faults == nil {
		v.faults = faults{}
	}
	v.failed |= FieldSet(f.bit)
	v.faults[f.name] = f.name + " " + fmt.Sprintf(format, args...)
}

// unknownFault notes a fault of a member that the contract does not know. The name, which may be anything, is not
// repeated.
func (v *eventDecoder) unknownFault(sentence string) {
	if v.faults == nil {
		v.faults = faults{}
	}
	v.faults[wholeObject] = sentence
}

// member decodes one member; f is nil for one that the contract does not know. null and "" on a field leave it absent.
func (v *eventDecoder) member(f *field, raw jsontext.Value) {
	switch {
	case f == nil:
		if fault := checkValue(raw); fault != "" {
			v.unknownFault("an unknown member of the body " + fault)
		}
		return
	case string(raw) == "null" || string(raw) == `""`:
		return
	case f.bit == FieldData && raw[0] == '{':
		// Its values are checked while it is brought into canonical form.
	default:
		if fault := checkValue(raw); fault != "" {
			v.fault(f, "%s", fault)
			return
		}
	}
	v.set(f, raw)
}

// set decodes a member that the contract knows, and that has a value; checkValue finds nothing wrong with it.
func (v *eventDecoder) set(f *field, raw jsontext.Value) {
	e := &v.event
	e.Sent |= FieldSet(f.bit)
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
	e := &v.event
	if e.Sent&requiredFields != requiredFields {
		for i := range fields {
			if f := &fields[i]; f.min > 0 && !e.Sent.Has(f.bit) && !v.failed.Has(f.bit) {
				v.fault(f, "is required")
			}
		}
	}
	hasID, hasSeq := e.Sent.Has(FieldProducerID), e.Sent.Has(FieldProducerSeq)
	if hasID && !hasSeq && !v.failed.Has(FieldProducerSeq) {
		v.fault(fieldOf("producer_seq"), "is required with producer_id")
	}
	if hasSeq && !hasID && !v.failed.Has(FieldProducerID) {
		v.fault(fieldOf("producer_id"), "is required with producer_seq")
	}
	setDefault(&e.ActorType, "service")
	if e.ActorID == "" {
		e.ActorID = e.Category + "-service"
	}
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
	s, ok := v.strs.unquote(raw)
	switch {
	case !ok:
		v.fault(f, "must be a string")
	case len(s) > f.max && utf8.RuneCountInString(s) > f.max:
		v.fault(f, "must be at most %d characters", f.max)
	}
	return s
}

// enum decodes a string that must be one of allowed, and returns that.
func (v *eventDecoder) enum(f *field, raw jsontext.Value, allowed []string) string {
	for _, s := range allowed {
		if len(raw) == len(s)+2 && string(raw[1:len(raw)-1]) == s {
			return s
		}
	}
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
	n, fault := wholeNumber(raw, lo, hi)
	if fault != "" {
		v.fault(f, "%s", fault)
	}
	return &n
}

// wholeNumber decodes an integer from lo to hi, which are not negative, or says what is wrong with it.
func wholeNumber(raw jsontext.Value, lo, hi int64) (n int64, fault string) {
	if raw.Kind() != '0' || bytes.ContainsAny(raw, ".eE") {
		return 0, "must be an integer, written without fraction or exponent"
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	switch {
	case n < lo: // also when it is out of range below
		return 0, "must be at least " + strconv.FormatInt(lo, 10)
	case err != nil || n > hi:
		return 0, "must be at most " + strconv.FormatInt(hi, 10)
	}
	return n, ""
}

func (v *eventDecoder) boolean(f *field, raw jsontext.Value) bool {
	if k := raw.Kind(); k != 't' && k != 'f' {
		v.fault(f, "must be true or false")
	}
	return raw.Kind() == 't'
}

func (v *eventDecoder) id(f *field, raw jsontext.Value) uuid.UUID {
	id, ok := unquoteUUID(raw)
	switch {
	case !ok:
		v.fault(f, "must be a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
	case id == uuid.Nil && f.bit == FieldParentID:
		v.fault(f, "is wrong: parent event does not exist")
	case id == uuid.Nil:
		v.fault(f, "must not be the nil UUID")
	}
	return id
}

func unquoteUUID(raw jsontext.Value) (id uuid.UUID, ok bool) {
	const length = 36
	if len(raw) == length+2 && raw[0] == '"' {
		id, err := uuid.ParseBytes(raw[1 : 1+length])
		return id, err == nil
	}
	s, ok := unquote(raw)
	if !ok {
		return uuid.Nil, false
	}
	id, err := ParseUUID(s)
	return id, err == nil
}

// ParseUUID reads the form with 36 characters and no other.
func ParseUUID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("a UUID has 36 characters, not %d", len(s))
	}
	return uuid.Parse(s)
}

func (v *eventDecoder) hex(f *field, raw jsontext.Value, digits int) string {
	s, ok := v.strs.unquote(raw)
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
	t, ok := unquoteTime(raw)
	if !ok {
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

// unquoteTime reads a JSON string that holds an RFC 3339 time, truncated to whole microseconds.
func unquoteTime(raw jsontext.Value) (time.Time, bool) {
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		t, err := parseRFC3339([]byte(raw[1 : len(raw)-1]))
		return truncate(t), err == nil
	}
	s, ok := unquote(raw)
	if !ok {
		return time.Time{}, false
	}
	t, err := ParseTimestamp(s)
	return t, err == nil
}

// ParseTimestamp reads an RFC 3339 time and returns it in UTC, truncated to whole microseconds.
func ParseTimestamp(s string) (time.Time, error) {
	t, err := parseRFC3339(s)
	return truncate(t), err
}

// truncate drops what is finer than a microsecond.
func truncate(t time.Time) time.Time {
	return t.UTC().Round(0).Add(-time.Duration(t.Nanosecond() % 1000))
}

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
	if raw[0] != '{' {
		v.fault(f, "must be a JSON object")
		return nil
	}
	data, _, fault := v.canon.run(raw, 0)
	switch {
	case fault != "":
		v.fault(f, "%s", fault)
	case len(data) > MaxEventDataBytes:
		v.fault(f, "must be at most %d bytes in canonical form", MaxEventDataBytes)
	}
	return data
}

// unquote decodes a JSON string; ok is false for any other kind of value.
func unquote(raw jsontext.Value) (s string, ok bool) {
	if raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	b, err := jsontext.AppendUnquote(nil, raw)
	return string(b), err == nil
}

// arena keeps the short strings of an event together: one allocation instead of many.
type arena struct{ b strings.Builder }

const (
	arenaSize = 320 // what the strings of most events take, in bytes
	arenaText = 100 // a longer string has an allocation of its own
)

// unquote is like the function of that name.
func (a *arena) unquote(raw jsontext.Value) (s string, ok bool) {
	if len(raw) > arenaText || raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return unquote(raw)
	}
	plain := raw[1 : len(raw)-1]
	if a.b.Cap()-a.b.Len() < len(plain) {
		a.b.Reset()
		a.b.Grow(arenaSize)
	}
	start := a.b.Len()
	a.b.Write(plain)
	return a.b.String()[start:], true
}
