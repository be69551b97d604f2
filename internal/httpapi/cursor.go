package httpapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
)

// cursor is a place in a walk through a list, and what the walk began with.
type cursor struct {
	// size is the size of the log, or the largest notification id, when the walk began: nothing later belongs to it.
	size int64
	// since and until are the bounds as they were at the beginning; a relative time would move with the clock.
	since, until time.Time
	// time and id are those of the last element that was returned; a notification's id stands in number, a text in key.
	time   time.Time
	id     uuid.UUID
	number int64
	key    string
}

// Kinds of cursor, so that one list's cursor is not taken for another's.
const (
	cursorEvents        byte = 1
	cursorNotifications byte = 2
	cursorCorrelations  byte = 3
	cursorTimeline      byte = 7
	cursorProducers     byte = 8
)

// cursorPayload is the length of a payload without its key, which stands at its end.
const (
	cursorPayload = 1 + sha256.Size/2 + 5*8 + 16
	cursorMAC     = 16
)

// cursorCodec writes cursors as base64url(payload ‖ HMAC-SHA-256(key, payload)[:16]).
type cursorCodec struct{ key []byte }

func (c cursorCodec) encode(kind byte, filters [sha256.Size]byte, cur cursor) string {
	b := make([]byte, 0, cursorPayload+len(cur.key)+cursorMAC)
	b = append(b, kind)
	b = append(b, filters[:sha256.Size/2]...)
	for _, n := range [...]int64{cur.size, micros(cur.since), micros(cur.until), micros(cur.time), cur.number} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, cur.id[:]...)
	b = append(b, cur.key...)
	return base64.RawURLEncoding.EncodeToString(append(b, c.mac(b)...))
}

func (c cursorCodec) mac(payload []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write(payload)
	return h.Sum(nil)[:cursorMAC]
}

var (
	errCursor        = errors.New("is not a cursor that this service made")
	errCursorFilters = errors.New("belongs to a query with other filters")
)

func (c cursorCodec) decode(s string, kind byte, filters [sha256.Size]byte) (*cursor, error) {
	// The decoder passes over line breaks, so the length of the text counts too.
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < cursorPayload+cursorMAC || len(s) != base64.RawURLEncoding.EncodedLen(len(b)) {
		return nil, errCursor
	}
	payload, mac := b[:len(b)-cursorMAC], b[len(b)-cursorMAC:]
	if !hmac.Equal(mac, c.mac(payload)) || payload[0] != kind {
		return nil, errCursor
	}
	payload = payload[1:]
	if string(payload[:sha256.Size/2]) != string(filters[:sha256.Size/2]) {
		return nil, errCursorFilters
	}
	payload = payload[sha256.Size/2:]
	var n [5]int64
	for i := range n {
		n[i] = int64(binary.BigEndian.Uint64(payload[i*8:]))
	}
	return &cursor{
		size: n[0], since: fromMicros(n[1]), until: fromMicros(n[2]), time: fromMicros(n[3]), number: n[4],
		id: uuid.UUID(payload[5*8 : 5*8+16]), key: string(payload[5*8+16:]),
	}, nil
}

// noTime stands for the zero time in a cursor.
const noTime = -1 << 63

func micros(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == noTime {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// filterHash identifies the filters of a query: the names that are set, in the given order, and their texts.
func (p *params) filterHash(names []string) [sha256.Size]byte {
	var b []byte
	for _, name := range names {
		if v := p.values.Get(name); v != "" {
			b = binary.AppendUvarint(b, uint64(len(name)))
			b = append(b, name...)
			b = binary.AppendUvarint(b, uint64(len(v)))
			b = append(b, v...)
		}
	}
	return sha256.Sum256(b)
}
