package datastorage

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// bodyOverhead is about what a body holds beside event_data, in bytes.
const bodyOverhead = 768

// TimeFormat is how a body writes event_timestamp: UTC, always six digits.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// AppendBody appends the canonical body of a complete event: one JSON object with every field that has a value, members
// ordered and strings escaped as RFC 8785 says, no white space, numbers as the producer wrote them. These bytes are
// what is stored, exported and hashed.
func AppendBody(b []byte, e *Event) []byte {
	b = appendString(b, `{"actor_id":`, e.ActorID)
	b = appendString(b, `,"actor_type":`, e.ActorType)
	b = appendOptional(b, `,"cluster_name":`, e.ClusterName)
	b = appendString(b, `,"correlation_id":`, e.CorrelationID)
	b = appendInt(b, `,"duration_ms":`, e.DurationMS)
	b = appendOptional(b, `,"error_code":`, e.ErrorCode)
	b = appendOptional(b, `,"error_message":`, e.ErrorMessage)
	b = appendString(b, `,"event_action":`, e.Action)
	b = appendString(b, `,"event_category":`, e.Category)
	b = append(b, `,"event_data":`...)
	b = append(b, e.Data...)
	b = appendUUID(b, `,"event_id":"`, e.ID)
	b = appendString(b, `,"event_outcome":`, e.Outcome)
	b = append(b, `,"event_timestamp":"`...)
	b = AppendTime(b, e.Time)
	b = appendString(b, `","event_type":`, e.Type)
	b = append(b, `,"is_sensitive":`...)
	b = strconv.AppendBool(b, e.Sensitive)
	b = appendOptional(b, `,"namespace":`, e.Namespace)
	if e.ParentID != uuid.Nil {
		b = appendUUID(b, `,"parent_event_id":"`, e.ParentID)
	}
	b = appendOptional(b, `,"producer_id":`, e.ProducerID)
	b = appendInt(b, `,"producer_seq":`, e.ProducerSeq)
	b = appendString(b, `,"resource_id":`, e.ResourceID)
	b = appendString(b, `,"resource_type":`, e.ResourceType)
	b = append(b, `,"retention_days":`...)
	b = strconv.AppendInt(b, int64(e.Retention), 10)
	b = appendString(b, `,"severity":`, e.Severity)
	b = appendOptional(b, `,"span_id":`, e.SpanID)
	b = appendOptional(b, `,"trace_id":`, e.TraceID)
	b = appendString(b, `,"version":`, e.Version)
	return append(b, '}')
}

// AppendRow appends an event as a query returns it: its body, event_date and log_index.
func AppendRow(b []byte, e *StoredEvent) []byte {
	b = append(b, e.Body[:len(e.Body)-1]...)
	b = append(b, `,"event_date":"`...)
	b = e.Time.UTC().AppendFormat(b, time.DateOnly)
	b = append(b, `","log_index":`...)
	b = strconv.AppendInt(b, e.LogIndex, 10)
	return append(b, '}')
}

// AppendTime appends t as a body writes it, without quotes.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, TimeFormat)
	}
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1000, 6)
	return append(b, 'Z')
}

// appendDigits appends the last digits of n, which is not negative, with zeros before it.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "000000"[:digits]...)
	for i := len(b) - 1; n > 0 && i >= len(b)-digits; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

func appendString(b []byte, member, s string) []byte {
	b = append(b, member...)
	start := len(b)
	b = append(append(append(b, '"'), s...), '"')
	if end, ascii := plainEnd(b, start+1); end == len(b)-1 && (ascii || utf8.Valid(b[start:])) {
		return b
	}
	b, err := jsontext.AppendQuote(b[:start], s)
	if err != nil {
		// Decoding refuses invalid UTF-8; a caller that builds an event by hand must do the same.
		panic("datastorage: invalid UTF-8 in an event: " + err.Error())
	}
	return b
}

func appendOptional(b []byte, member, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(b, member, s)
}

func appendInt(b []byte, member string, n *int64) []byte {
	if n == nil {
		return b
	}
	b = append(b, member...)
	return strconv.AppendInt(b, *n, 10)
}

// appendUUID appends member, which ends with an opening quote, the UUID and a closing quote.
func appendUUID(b []byte, member string, id uuid.UUID) []byte {
	b = append(b, member...)
	b = AppendUUID(b, id)
	return append(b, '"')
}

// AppendUUID appends the 36 characters of id in lower case.
func AppendUUID(b []byte, id uuid.UUID) []byte {
	start := len(b)
	b = append(b, "00000000-0000-0000-0000-000000000000"...)
	text := b[start:]
	hex.Encode(text, id[0:4])
	hex.Encode(text[9:], id[4:6])
	hex.Encode(text[14:], id[6:8])
	hex.Encode(text[19:], id[8:10])
	hex.Encode(text[24:], id[10:16])
	return b
}

// ParseBody reads a body back: ParseBody(AppendBody(nil, e)) equals e, with every field marked as sent. It refuses
// bytes that are not exactly a canonical body.
func ParseBody(body []byte) (*Event, error) {
	e, err := bodyRules.Decode(body, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("not a body: %w", err)
	}
	if again := AppendBody(make([]byte, 0, len(body)), &e); string(again) != string(body) {
		return nil, fmt.Errorf("not a body: its canonical form differs")
	}
	return &e, nil
}
