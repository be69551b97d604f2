package ledger

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// Column is an indexed column of an event's row whose value is a text of the body.
type Column int

// The text columns, in the order of the body's members.
const (
	ColumnActorID Column = iota
	ColumnActorType
	ColumnClusterName
	ColumnCorrelationID
	ColumnCategory
	ColumnOutcome
	ColumnType
	ColumnNamespace
	ColumnResourceID
	ColumnResourceType
	ColumnSeverity
	ColumnTraceID
	// Columns is the number of text columns.
	Columns
)

// String returns the name of the column, which is the name of the body's member.
func (c Column) String() string { return columnNames[c] }

var columnNames = [Columns]string{
	"actor_id", "actor_type", "cluster_name", "correlation_id", "event_category", "event_outcome", "event_type",
	"namespace", "resource_id", "resource_type", "severity", "trace_id",
}

// noColumn is for members that no column copies.
const noColumn Column = -1

// valueKind says how the value of a member is written.
type valueKind int

const (
	kindText valueKind = iota
	kindOutcome
	kindHex
	kindInteger
	kindBoolean
	kindID
	kindTime
	kindData
)

// member describes one member of a body as the canonical order brings it.
type member struct {
	prefix   string // what stands before its value
	kind     valueKind
	limit    int64 // text: characters; hex: digits; integer: the largest value
	least    int64 // integer: the smallest value
	required bool
	field    datastorage.Field
	column   Column
}

func (m *member) name() string { return m.prefix[2 : len(m.prefix)-2] }

// members are the members of a body, in canonical order.
var members = [...]member{
	{`{"actor_id":`, kindText, 255, 0, true, datastorage.FieldActorID, ColumnActorID},
	{`,"actor_type":`, kindText, 50, 0, true, datastorage.FieldActorType, ColumnActorType},
	{`,"cluster_name":`, kindText, 255, 0, false, datastorage.FieldClusterName, ColumnClusterName},
	{`,"correlation_id":`, kindText, 255, 0, true, datastorage.FieldCorrelationID, ColumnCorrelationID},
	{`,"duration_ms":`, kindInteger, 1<<53 - 1, 0, false, datastorage.FieldDurationMS, noColumn},
	{`,"error_code":`, kindText, 100, 0, false, datastorage.FieldErrorCode, noColumn},
	{`,"error_message":`, kindText, 4096, 0, false, datastorage.FieldErrorMessage, noColumn},
	{`,"event_action":`, kindText, 50, 0, true, datastorage.FieldAction, noColumn},
	{`,"event_category":`, kindText, 50, 0, true, datastorage.FieldCategory, ColumnCategory},
	{`,"event_data":`, kindData, 0, 0, true, datastorage.FieldData, noColumn},
	{`,"event_id":`, kindID, 0, 0, true, datastorage.FieldID, noColumn},
	{`,"event_outcome":`, kindOutcome, 0, 0, true, datastorage.FieldOutcome, ColumnOutcome},
	{`,"event_timestamp":`, kindTime, 0, 0, true, datastorage.FieldTime, noColumn},
	{`,"event_type":`, kindText, 100, 0, true, datastorage.FieldType, ColumnType},
	{`,"is_sensitive":`, kindBoolean, 0, 0, true, datastorage.FieldSensitive, noColumn},
	{`,"namespace":`, kindText, 253, 0, false, datastorage.FieldNamespace, ColumnNamespace},
	{`,"parent_event_id":`, kindID, 0, 0, false, datastorage.FieldParentID, noColumn},
	{`,"producer_id":`, kindText, 255, 0, false, datastorage.FieldProducerID, noColumn},
	{`,"producer_seq":`, kindInteger, math.MaxInt64, 0, false, datastorage.FieldProducerSeq, noColumn},
	{`,"resource_id":`, kindText, 255, 0, true, datastorage.FieldResourceID, ColumnResourceID},
	{`,"resource_type":`, kindText, 100, 0, true, datastorage.FieldResourceType, ColumnResourceType},
	{`,"retention_days":`, kindInteger, datastorage.MaxRetentionDays, 1, true, datastorage.FieldRetention, noColumn},
	{`,"severity":`, kindText, 20, 0, true, datastorage.FieldSeverity, ColumnSeverity},
	{`,"span_id":`, kindHex, 16, 0, false, datastorage.FieldSpanID, noColumn},
	{`,"trace_id":`, kindHex, 32, 0, false, datastorage.FieldTraceID, ColumnTraceID},
	{`,"version":`, kindText, 20, 0, true, datastorage.FieldVersion, noColumn},
}

// scannedText is the content of a string of a body, between its quotes and still escaped.
type scannedText struct {
	raw     []byte // nil when the body has no such member
	escaped bool
}

// bodyScanner reads canonical bodies in one pass, without copying them. It accepts exactly what datastorage.ParseBody
// accepts, and shares no code with it. What it found is valid while the body is.
type bodyScanner struct {
	body []byte
	at   int
	buf  []byte // for unescaping

	texts  [Columns]scannedText
	id     uuid.UUID
	parent uuid.UUID // the nil UUID when there is none
	time   int64     // event_timestamp, in microseconds since 1970
	data   []byte    // event_data
	seen   datastorage.FieldSet
}

// scan reads a body. The error says what is not canonical, and where, without quoting the body.
func (s *bodyScanner) scan(body []byte) error {
	s.body, s.at, s.seen, s.parent = body, 0, 0, uuid.Nil
	for i := range members {
		m := &members[i]
		if end := s.at + len(m.prefix); end > len(body) || string(body[s.at:end]) != m.prefix {
			if m.required {
				return fmt.Errorf("%s is not where it belongs, at byte %d", m.name(), s.at)
			}
			if m.column != noColumn {
				s.texts[m.column] = scannedText{}
			}
			continue
		}
		s.at += len(m.prefix)
		start := s.at
		if !s.value(m) {
			return fmt.Errorf("%s at byte %d is not in its canonical form or breaks its limits", m.name(), start)
		}
		s.seen |= datastorage.FieldSet(m.field)
	}
	if s.at+1 != len(body) || body[s.at] != '}' {
		return fmt.Errorf("what stands at byte %d does not belong there", s.at)
	}
	if s.seen.Has(datastorage.FieldProducerID) != s.seen.Has(datastorage.FieldProducerSeq) {
		return fmt.Errorf("producer_id and producer_seq do not stand together")
	}
	return nil
}

// accepts is scan for those who do not care what is wrong.
func (s *bodyScanner) accepts(body []byte) bool { return s.scan(body) == nil }

func (s *bodyScanner) value(m *member) bool {
	switch m.kind {
	case kindInteger:
		return s.integer(m.least, m.limit)
	case kindBoolean:
		return s.literal("true") || s.literal("false")
	case kindData:
		start := s.at
		if s.at == len(s.body) || s.body[s.at] != '{' || !s.any(0) {
			return false
		}
		s.data = s.body[start:s.at]
		return len(s.data) <= datastorage.MaxEventDataBytes
	}
	start := s.at
	escaped, ok := s.text()
	if !ok {
		return false
	}
	raw := s.body[start+1 : s.at-1]
	switch m.kind {
	case kindText:
		if len(raw) == 0 || int64(len(raw)) > m.limit && !s.atMost(raw, escaped, m.limit) {
			return false
		}
	case kindOutcome:
		ok = string(raw) == "success" || string(raw) == "failure" || string(raw) == "pending"
	case kindHex:
		ok = isHex(raw, int(m.limit))
	case kindID:
		id := &s.id
		if m.field == datastorage.FieldParentID {
			id = &s.parent
		}
		return parseID(id, raw)
	case kindTime:
		s.time, ok = parseMicros(raw)
	}
	if m.column != noColumn {
		s.texts[m.column] = scannedText{raw, escaped}
	}
	return ok
}

// atMost reports whether a string has at most limit characters.
func (s *bodyScanner) atMost(raw []byte, escaped bool, limit int64) bool {
	if escaped {
		raw = s.unescape(raw)
	}
	return int64(utf8.RuneCount(raw)) <= limit
}

// equal reports whether a string of the body has the given value.
func (s *bodyScanner) equal(t scannedText, value []byte) bool {
	if !t.escaped {
		return bytes.Equal(t.raw, value)
	}
	return bytes.Equal(s.unescape(t.raw), value)
}

func (s *bodyScanner) literal(word string) bool {
	if !bytes.HasPrefix(s.body[s.at:], []byte(word)) {
		return false
	}
	s.at += len(word)
	return true
}

// integer reads a whole number, written without sign, fraction, exponent and leading zeros.
func (s *bodyScanner) integer(least, most int64) bool {
	start := s.at
	for s.at < len(s.body) && isDigit(s.body[s.at]) {
		s.at++
	}
	digits := s.body[start:s.at]
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	var n uint64
	for _, c := range digits {
		n = 10*n + uint64(c-'0')
	}
	return n >= uint64(least) && n <= uint64(most)
}

// any reads one value inside event_data; depth is how many arrays and objects it stands in.
func (s *bodyScanner) any(depth int) bool {
	if s.at == len(s.body) {
		return false
	}
	switch c := s.body[s.at]; c {
	case '"':
		_, ok := s.text()
		return ok
	case '{':
		return depth < datastorage.MaxEventDataDepth && s.object(depth+1)
	case '[':
		return depth < datastorage.MaxEventDataDepth && s.array(depth+1)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *bodyScanner) object(depth int) bool {
	s.at++
	if s.skip('}') {
		return true
	}
	var last scannedText
	for first := true; ; first = false {
		start := s.at
		escaped, ok := s.text()
		if !ok || !s.skip(':') {
			return false
		}
		name := scannedText{s.body[start+1 : s.at-2], escaped}
		if !first && !before(last, name) {
			return false
		}
		last = name
		if !s.any(depth) {
			return false
		}
		if s.skip('}') {
			return true
		}
		if !s.skip(',') {
			return false
		}
	}
}

func (s *bodyScanner) array(depth int) bool {
	s.at++
	if s.skip(']') {
		return true
	}
	for {
		if !s.any(depth) {
			return false
		}
		if s.skip(']') {
			return true
		}
		if !s.skip(',') {
			return false
		}
	}
}

func (s *bodyScanner) skip(c byte) bool {
	if s.at == len(s.body) || s.body[s.at] != c {
		return false
	}
	s.at++
	return true
}

// number reads a JSON number. It may be written in any way that is short and finite.
func (s *bodyScanner) number() bool {
	start := s.at
	s.skip('-')
	whole := s.at
	if s.digits() == 0 || s.body[whole] == '0' && s.at > whole+1 {
		return false
	}
	if s.skip('.') && s.digits() == 0 {
		return false
	}
	exponent := s.skip('e') || s.skip('E')
	if exponent {
		if !s.skip('-') {
			s.skip('+')
		}
		if s.digits() == 0 {
			return false
		}
	}
	text := s.body[start:s.at]
	if len(text) > datastorage.MaxNumberLength {
		return false
	}
	if exponent {
		if _, err := strconv.ParseFloat(string(text), 64); err != nil {
			return false
		}
	}
	return true
}

func (s *bodyScanner) digits() int {
	start := s.at
	for s.at < len(s.body) && isDigit(s.body[s.at]) {
		s.at++
	}
	return s.at - start
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(raw []byte, digits int) bool {
	for _, c := range raw {
		if !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(raw) == digits
}

// parseID reads a UUID of 36 characters in lower case that is not the nil UUID.
func parseID(id *uuid.UUID, raw []byte) bool {
	if len(raw) != 36 || raw[8] != '-' || raw[13] != '-' || raw[18] != '-' || raw[23] != '-' {
		return false
	}
	var digits [32]byte
	copy(digits[0:], raw[0:8])
	copy(digits[8:], raw[9:13])
	copy(digits[12:], raw[14:18])
	copy(digits[16:], raw[19:23])
	copy(digits[20:], raw[24:36])
	if !isHex(digits[:], len(digits)) {
		return false
	}
	_, err := hex.Decode(id[:], digits[:])
	return err == nil && *id != uuid.Nil
}

// parseMicros reads a time as datastorage.TimeFormat writes it, between the years 1970 and 2199.
func parseMicros(raw []byte) (int64, bool) {
	const form = "dddd-dd-ddTdd:dd:dd.ddddddZ"
	if len(raw) != len(form) {
		return 0, false
	}
	for i, c := range raw {
		if form[i] == 'd' && !isDigit(c) || form[i] != 'd' && c != form[i] {
			return 0, false
		}
	}
	part := func(from, to int) (n int64) {
		for _, c := range raw[from:to] {
			n = 10*n + int64(c-'0')
		}
		return n
	}
	year, month, day := part(0, 4), part(5, 7), part(8, 10)
	hour, minute, second := part(11, 13), part(14, 16), part(17, 19)
	if year < 1970 || year > 2199 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	seconds := ((daysBefore(year, month)+day-1)*24+hour)*3600 + minute*60 + second
	return seconds*1_000_000 + part(20, 26), true
}

func isLeap(year int64) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int64) int64 {
	if month == 2 && isLeap(year) {
		return 29
	}
	return [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// daysBefore returns the number of days from 1970-01-01 to the first day of a month.
func daysBefore(year, month int64) int64 {
	y := year - 1
	days := 365*(year-1970) + (y/4 - y/100 + y/400) - (1969/4 - 1969/100 + 1969/400)
	days += [...]int64{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334}[month-1]
	if month > 2 && isLeap(year) {
		days++
	}
	return days
}

// before reports whether the member name a stands before b: RFC 8785 orders names by their UTF-16 code units. Equal
// names do not stand before each other.
func before(a, b scannedText) bool {
	if !a.escaped && !b.escaped {
		n := min(len(a.raw), len(b.raw))
		i := 0
		for i < n && a.raw[i] == b.raw[i] {
			i++
		}
		if i == n {
			return len(a.raw) < len(b.raw)
		}
		// Bytes order like code units below the surrogates.
		if a.raw[i] < 0xee && b.raw[i] < 0xee {
			return a.raw[i] < b.raw[i]
		}
	}
	x, y := units(a), units(b)
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return len(x) < len(y)
}

func units(t scannedText) []uint16 {
	raw := t.raw
	if t.escaped {
		raw = appendUnescaped(nil, raw)
	}
	return utf16.Encode([]rune(string(raw)))
}
