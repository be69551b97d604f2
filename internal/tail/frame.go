package tail

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/datastorage-io/datastorage"
)

// Frames are the blocks of a stream of server-sent events (WHATWG HTML, 9.2). A block without data only moves the id
// that a client resumes from. The body of an event is canonical JSON, which has no line break.

// appendAudit appends the block of an event; where its row stands in it is returned, too.
func appendAudit(b []byte, e *datastorage.StoredEvent) (frame []byte, from, to int) {
	b = appendID(b, e.LogIndex)
	b = append(b, "event: audit\ndata: "...)
	from = len(b)
	b = datastorage.AppendRow(b, e)
	to = len(b)
	return append(b, "\n\n"...), from, to
}

func appendID(b []byte, id int64) []byte {
	b = append(b, "id: "...)
	b = strconv.AppendInt(b, id, 10)
	return append(b, '\n')
}

// appendHello appends the block that a stream begins with, for a reader at a position.
func appendHello(b []byte, next int64, reconnect time.Duration) []byte {
	b = append(b, ": events of the log from "...)
	b = strconv.AppendInt(b, next, 10)
	b = append(b, "\nretry: "...)
	b = strconv.AppendInt(b, reconnect.Milliseconds(), 10)
	b = append(b, '\n')
	return append(appendID(b, next-1), '\n')
}

// appendHeartbeat appends the block that tells a reader its position.
func appendHeartbeat(b []byte, next int64, stalled bool) []byte {
	if stalled {
		b = append(b, ": the store cannot be reached; what follows will be sent when it is back\n"...)
	} else {
		b = append(b, ": heartbeat\n"...)
	}
	return append(appendID(b, next-1), '\n')
}

// lastMessage is the data of the block that a stream ends with.
type lastMessage struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	// LastEventID is what the client resumes behind.
	LastEventID int64 `json:"last_event_id"`
}

// appendLast appends the block that a stream ends with.
func appendLast(b []byte, event string, m lastMessage) []byte {
	b = appendID(b, m.LastEventID)
	b = append(b, "event: "+event+"\ndata: "...)
	data, err := json.Marshal(m)
	if err != nil {
		panic("tail: a message cannot be encoded: " + err.Error())
	}
	return append(append(b, data...), "\n\n"...)
}
