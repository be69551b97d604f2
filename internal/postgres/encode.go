package postgres

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// encoded is what a commit sends: the parameters of its statements in PostgreSQL's binary form, all in one buffer. It is
// used again by later commits, so that a steady load allocates nothing here.
type encoded struct {
	buf []byte
	// ends are the offsets in buf behind each parameter, -1 for one that is NULL.
	ends []int
	// params is the scratch space of parameters.
	params [][]byte
	// notifications is how many notifications are encoded.
	notifications int
}

// The parameters stand in the order of the statements: those of insertCommit, insertIDs, insertEvents, and for each
// notification those of insertNotification.
const (
	commitParams       = 10
	notificationParams = 13
)

// maxKeptBuffer is the largest buffer that is kept for later commits, in bytes.
const maxKeptBuffer = 4 << 20

var encodedPool = sync.Pool{New: func() any { return &encoded{} }}

func (e *encoded) release() {
	if cap(e.buf) <= maxKeptBuffer {
		encodedPool.Put(e)
	}
}

// encode makes the parameters of a commit. eventRow and idRow are the identifiers of the row types.
func encode(c *ledger.Commit, w *datastorage.Write, eventRow, idRow uint32) *encoded {
	e := encodedPool.Get().(*encoded)
	e.buf, e.ends, e.notifications = e.buf[:0], e.ends[:0], len(w.Notifications)
	e.commit(c)
	e.ids(w.Records, c.FirstIndex, idRow)
	e.events(w.Records, c.FirstIndex, eventRow)
	for _, n := range w.Notifications {
		e.notification(n)
	}
	return e
}

// parameters returns count parameters from the one with the given number. The slice is valid until the next call.
func (e *encoded) parameters(from, count int) [][]byte {
	e.params = e.params[:0]
	start := 0
	for _, end := range e.ends[:from] {
		start = max(start, end)
	}
	for _, end := range e.ends[from : from+count] {
		if end < 0 {
			e.params = append(e.params, nil)
			continue
		}
		e.params = append(e.params, e.buf[start:end:end])
		start = end
	}
	return e.params
}

func (e *encoded) end() { e.ends = append(e.ends, len(e.buf)) }

func (e *encoded) bigint(n int64) {
	e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(n))
	e.end()
}

func (e *encoded) time(t time.Time) { e.bigint(timestamp(t)) }

func (e *encoded) bytes(b []byte) {
	e.buf = append(e.buf, b...)
	e.end()
}

func (e *encoded) text(s string) {
	e.buf = append(e.buf, s...)
	e.end()
}

// optional encodes "" as NULL.
func (e *encoded) optional(s string) {
	if s == "" {
		e.ends = append(e.ends, -1)
		return
	}
	e.text(s)
}

func (e *encoded) commit(c *ledger.Commit) {
	e.bigint(c.FirstIndex)
	e.bigint(c.NextIndex)
	e.time(c.MinTime)
	e.time(c.MaxTime)
	e.time(c.CommittedAt)
	e.bytes(c.Root[:])
	e.bytes(c.Range)
	e.bytes(c.Entries)
	e.bigint(c.PrevFirst)
	e.bytes(c.PrevRoot[:])
}

func (e *encoded) notification(n *datastorage.Notification) {
	e.text(n.RemediationID)
	e.text(n.NotificationID)
	e.text(n.Recipient)
	e.text(n.Channel)
	e.text(n.MessageSummary)
	e.text(n.Status)
	e.time(n.SentAt)
	e.optional(n.DeliveryStatus)
	e.optional(n.ErrorMessage)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n.EscalationLevel))
	e.end()
	e.time(n.CreatedAt)
	e.time(n.UpdatedAt)
	e.bytes(n.EventID[:])
}

// The number of fields of the row types.
const (
	idFields    = 3
	eventFields = 18
)

func (e *encoded) ids(records []*datastorage.Record, first int64, row uint32) {
	b := appendArray(e.buf, row, len(records))
	for i, r := range records {
		start := len(b)
		b = appendRow(b, idFields)
		b = appendUUIDField(b, r.ID)
		b = appendInt64Field(b, pgtype.Int8OID, first+int64(i))
		b = appendInt64Field(b, pgtype.TimestamptzOID, timestamp(r.Time))
		setLength(b, start)
	}
	e.buf = b
	e.end()
}

func (e *encoded) events(records []*datastorage.Record, first int64, row uint32) {
	b := appendArray(e.buf, row, len(records))
	for i, r := range records {
		start := len(b)
		b = appendRow(b, eventFields)
		b = appendInt64Field(b, pgtype.Int8OID, first+int64(i))
		b = appendInt64Field(b, pgtype.TimestamptzOID, timestamp(r.Time))
		b = appendUUIDField(b, r.ID)
		b = appendTextField(b, r.CorrelationID)
		b = appendTextField(b, r.Type)
		b = appendTextField(b, r.Category)
		b = appendTextField(b, r.Outcome)
		b = appendTextField(b, r.Severity)
		b = appendTextField(b, r.ActorType)
		b = appendTextField(b, r.ActorID)
		b = appendTextField(b, r.ResourceType)
		b = appendTextField(b, r.ResourceID)
		b = appendOptionalField(b, r.Namespace)
		b = appendOptionalField(b, r.ClusterName)
		if r.ParentID == uuid.Nil {
			b = appendNullField(b, pgtype.UUIDOID)
		} else {
			b = appendUUIDField(b, r.ParentID)
		}
		b = appendOptionalField(b, r.TraceID)
		b = appendField(b, pgtype.ByteaOID, len(r.Salt))
		b = append(b, r.Salt[:]...)
		b = appendField(b, pgtype.TextOID, len(r.Body))
		b = append(b, r.Body...)
		setLength(b, start)
	}
	e.buf = b
	e.end()
}

// null is the length of a NULL.
const null = 0xFFFF_FFFF

// appendArray appends the header of an array of one dimension without NULLs.
func appendArray(b []byte, element uint32, length int) []byte {
	b = binary.BigEndian.AppendUint32(b, 1) // dimensions
	b = binary.BigEndian.AppendUint32(b, 0) // has no NULL
	b = binary.BigEndian.AppendUint32(b, element)
	b = binary.BigEndian.AppendUint32(b, uint32(length))
	return binary.BigEndian.AppendUint32(b, 1) // lower bound
}

// appendRow appends the header of a row that is an element of an array; setLength completes it.
func appendRow(b []byte, fields uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, fields)
}

// setLength writes the length of the row that began at start and now ends.
func setLength(b []byte, start int) { binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4)) }

func appendField(b []byte, oid uint32, length int) []byte {
	b = binary.BigEndian.AppendUint32(b, oid)
	return binary.BigEndian.AppendUint32(b, uint32(length))
}

func appendNullField(b []byte, oid uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, oid)
	return binary.BigEndian.AppendUint32(b, null)
}

func appendInt64Field(b []byte, oid uint32, n int64) []byte {
	return binary.BigEndian.AppendUint64(appendField(b, oid, 8), uint64(n))
}

func appendUUIDField(b []byte, id uuid.UUID) []byte {
	return append(appendField(b, pgtype.UUIDOID, len(id)), id[:]...)
}

func appendTextField(b []byte, s string) []byte {
	return append(appendField(b, pgtype.TextOID, len(s)), s...)
}

func appendOptionalField(b []byte, s string) []byte {
	if s == "" {
		return appendNullField(b, pgtype.TextOID)
	}
	return appendTextField(b, s)
}

// epoch is 2000-01-01 UTC, from which PostgreSQL counts microseconds, in microseconds since 1970.
const epoch = 946_684_800_000_000

func timestamp(t time.Time) int64 { return t.UnixMicro() - epoch }
