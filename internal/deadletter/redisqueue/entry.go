package redisqueue

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
)

// The streams, as they stand in places and ids.
const (
	inEvents        = "e"
	inNotifications = "n"
)

// idDigits is the number of digits of each of the two numbers in an id, so that ids sort as text.
const idDigits = 20

// formatID returns the id of the message at a place: the numbers of the entry's id, padded, and its stream.
func formatID(place string) (string, error) {
	if len(place) < 4 {
		return "", errReply
	}
	ms, seq, ok := strings.Cut(place[1:], "-")
	if !ok || len(ms) > idDigits || len(seq) > idDigits {
		return "", errReply
	}
	pad := func(s string) string { return strings.Repeat("0", idDigits-len(s)) + s }
	return pad(ms) + "-" + pad(seq) + "-" + place[:1], nil
}

// parseID returns the place of the message with an id that formatID may have made.
func parseID(id string) (place string, ok bool) {
	if len(id) != 2*idDigits+3 || id[idDigits] != '-' || id[2*idDigits+1] != '-' {
		return "", false
	}
	ms, err := strconv.ParseUint(id[:idDigits], 10, 64)
	if err != nil {
		return "", false
	}
	seq, err := strconv.ParseUint(id[idDigits+1:2*idDigits+1], 10, 64)
	if err != nil {
		return "", false
	}
	kind := id[2*idDigits+2:]
	return fmt.Sprintf("%s%d-%d", kind, ms, seq), kind == inEvents || kind == inNotifications
}

// streamOf returns the stream that a message waits in.
func streamOf(m *deadletter.Message) string {
	if m.Notification != nil {
		return inNotifications
	}
	return inEvents
}

// fieldNames are the fields of an entry, in the order of fieldValues and of the script that puts them.
var fieldNames = []string{"event_id", "correlation_id", "sent", "queued_at", "salt", "cause", "notification", "body"}

func fieldValues(m *deadletter.Message) ([]any, error) {
	note := ""
	if m.Notification != nil {
		var err error
		if note, err = deadletter.EncodeNotification(m.Notification); err != nil {
			return nil, err
		}
	}
	return []any{
		m.EventID.String(), m.CorrelationID, strconv.FormatUint(uint64(m.Sent), 10), strconv.FormatInt(m.QueuedAt.UnixMicro(), 10),
		hex.EncodeToString(m.Salt[:]), m.Cause, note, m.Body,
	}, nil
}

// entry is an entry of a stream.
type entry struct {
	place  string
	fields []string // names and values in turn
}

// field returns the value of a field; "" when there is none.
func (e *entry) field(name string) string {
	for i := 0; i+1 < len(e.fields); i += 2 {
		if e.fields[i] == name {
			return e.fields[i+1]
		}
	}
	return ""
}

// isOurs reports whether this queue put the entry; another one is V1.0's, or nobody's.
func (e *entry) isOurs() bool { return e.field("event_id") != "" }

// time is when the server took the entry.
func (e *entry) time() time.Time {
	ms, _, _ := strings.Cut(e.place[1:], "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// message returns the message of an entry that this queue put.
func (e *entry) message() (*deadletter.Message, error) {
	m := &deadletter.Message{CorrelationID: e.field("correlation_id"), Cause: e.field("cause"), Body: []byte(e.field("body"))}
	var err error
	if m.ID, err = formatID(e.place); err != nil {
		return nil, err
	}
	if m.EventID, err = uuid.Parse(e.field("event_id")); err != nil {
		return nil, e.unreadable("event_id", err)
	}
	sent, err := strconv.ParseUint(e.field("sent"), 10, 32)
	if err != nil {
		return nil, e.unreadable("sent", err)
	}
	m.Sent = datastorage.FieldSet(sent)
	at, err := strconv.ParseInt(e.field("queued_at"), 10, 64)
	if err != nil {
		return nil, e.unreadable("queued_at", err)
	}
	m.QueuedAt = time.UnixMicro(at).UTC()
	salt, err := hex.DecodeString(e.field("salt"))
	if err != nil || len(salt) != len(m.Salt) {
		return nil, e.unreadable("salt", errSalt)
	}
	copy(m.Salt[:], salt)
	if text := e.field("notification"); text != "" {
		if m.Notification, err = deadletter.DecodeNotification(text); err != nil {
			return nil, e.unreadable("notification", err)
		}
	}
	return m, nil
}

// errSalt is for a salt that no event has.
var errSalt = fmt.Errorf("it must be %d bytes in hexadecimal", datastorage.SaltSize)

func (e *entry) unreadable(field string, err error) error {
	return fmt.Errorf("entry %s of the dead-letter queue in Redis: %s cannot be read: %w", e.place[1:], field, err)
}

// parseEntries reads a reply that is a list of places with their fields.
func parseEntries(reply any) ([]entry, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, errReply
	}
	entries := make([]entry, len(list))
	for i, v := range list {
		pair, ok := v.([]any)
		if !ok || len(pair) != 2 {
			return nil, errReply
		}
		if entries[i].place, ok = pair[0].(string); !ok {
			return nil, errReply
		}
		var err error
		if entries[i].fields, err = texts(pair[1]); err != nil {
			return nil, err
		}
	}
	return entries, nil
}
