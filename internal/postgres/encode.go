package postgres

import (
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// encoded is what a commit sends: its messages of PostgreSQL's protocol, with all values in binary form, in one buffer.
// The buffer is used again by later commits, so that a steady load allocates nothing here.
//
// All values come first, in Bind messages, and then the few bytes that execute the statements. A client that freezes
// while it sends has thus not taken the place of the commit in the log, which would keep all others waiting.
type encoded struct {
	buf []byte
	// statements is how many are executed, up to the COMMIT.
	statements int
}

// maxKeptBuffer is the largest buffer that is kept for later commits, in bytes.
const maxKeptBuffer = 4 << 20

var encodedPool = sync.Pool{New: func() any { return &encoded{} }}

func (e *encoded) release() {
	if cap(e.buf) <= maxKeptBuffer {
		encodedPool.Put(e)
	}
}

// The names of prepared statements; a portal has the name of its statement, with a number for notifications.
const (
	commitStatement       = "insert_commit"
	idsStatement          = "insert_ids"
	eventsStatement       = "insert_events"
	notificationStatement = "insert_notification"
	changesStatement      = "insert_changes"
	endStatement          = "commit"
)

// encode makes the messages of a commit. Without a transaction that was begun before, the statements are one of their
// own up to the Sync.
func encode(c *ledger.Commit, w *datastorage.Write, rows rowTypes, inTransaction bool) *encoded {
	e := encodedPool.Get().(*encoded)
	e.buf, e.statements = e.buf[:0], 3+len(w.Notifications)
	e.commit(c)
	e.ids(w.Records, c.FirstIndex, rows.id)
	e.events(w.Records, c.FirstIndex, rows.event)
	for i, n := range w.Notifications {
		e.notification(i, n)
	}
	if len(w.Changes) > 0 {
		e.statements++
		e.changes(w.Changes, rows.change)
	}
	if inTransaction {
		e.endBind(e.bind(endStatement, endStatement, 0))
	}

	e.execute(commitStatement)
	e.execute(idsStatement)
	e.execute(eventsStatement)
	for i := range w.Notifications {
		e.execute(notificationPortal(i))
	}
	if len(w.Changes) > 0 {
		e.execute(changesStatement)
	}
	if inTransaction {
		e.execute(endStatement)
	}
	e.endMessage(e.message('S'))
	return e
}

func notificationPortal(i int) string { return notificationStatement + strconv.Itoa(i) }

// message begins a message; endMessage completes it.
func (e *encoded) message(kind byte) (start int) {
	e.buf = append(e.buf, kind)
	return e.open()
}

func (e *encoded) endMessage(start int) {
	// The length of a message counts itself.
	binary.BigEndian.PutUint32(e.buf[start:], uint32(len(e.buf)-start))
}

// bind begins a Bind message with so many parameters; endBind completes it.
func (e *encoded) bind(portal, statement string, parameters uint16) (start int) {
	start = e.message('B')
	e.name(portal)
	e.name(statement)
	// One format, binary, for all parameters.
	e.buf = binary.BigEndian.AppendUint16(e.buf, 1)
	e.buf = binary.BigEndian.AppendUint16(e.buf, 1)
	e.buf = binary.BigEndian.AppendUint16(e.buf, parameters)
	return start
}

func (e *encoded) endBind(start int) {
	// And for all columns of a result.
	e.buf = binary.BigEndian.AppendUint16(e.buf, 1)
	e.buf = binary.BigEndian.AppendUint16(e.buf, 1)
	e.endMessage(start)
}

func (e *encoded) execute(portal string) {
	start := e.message('E')
	e.name(portal)
	e.buf = binary.BigEndian.AppendUint32(e.buf, 0) // all rows
	e.endMessage(start)
}

func (e *encoded) name(s string) {
	e.buf = append(e.buf, s...)
	e.buf = append(e.buf, 0)
}

// open leaves room for the length of what follows; setLength writes it.
func (e *encoded) open() (start int) {
	start = len(e.buf)
	e.buf = append(e.buf, 0, 0, 0, 0)
	return start
}

func (e *encoded) bigint(n int64) {
	e.buf = binary.BigEndian.AppendUint32(e.buf, 8)
	e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(n))
}

func (e *encoded) time(t time.Time) { e.bigint(serverMicros(t)) }

func (e *encoded) bytes(b []byte) {
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(b)))
	e.buf = append(e.buf, b...)
}

func (e *encoded) text(s string) {
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(s)))
	e.buf = append(e.buf, s...)
}

// optional encodes "" as NULL.
func (e *encoded) optional(s string) {
	if s == "" {
		e.buf = binary.BigEndian.AppendUint32(e.buf, null)
		return
	}
	e.text(s)
}

func (e *encoded) commit(c *ledger.Commit) {
	start := e.bind(commitStatement, commitStatement, 10)
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
	e.endBind(start)
}

func (e *encoded) notification(i int, n *datastorage.Notification) {
	start := e.bind(notificationPortal(i), notificationStatement, 13)
	e.text(n.RemediationID)
	e.text(n.NotificationID)
	e.text(n.Recipient)
	e.text(n.Channel)
	e.text(n.MessageSummary)
	e.text(n.Status)
	e.time(n.SentAt)
	e.optional(n.DeliveryStatus)
	e.optional(n.ErrorMessage)
	e.buf = binary.BigEndian.AppendUint32(e.buf, 4)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n.EscalationLevel))
	e.time(n.CreatedAt)
	e.time(n.UpdatedAt)
	e.bytes(n.EventID[:])
	e.endBind(start)
}

// rowTypes are the identifiers of the types event_row, event_id_row and catalog_change_row, which their binary form
// holds.
type rowTypes struct{ event, id, change uint32 }

// The number of fields of the row types.
const (
	idFields     = 3
	eventFields  = 18
	changeFields = 6
)

func (e *encoded) ids(records []*datastorage.Record, first int64, row uint32) {
	message := e.bind(idsStatement, idsStatement, 1)
	array := e.open()
	b := appendArray(e.buf, row, len(records))
	for i, r := range records {
		start := len(b)
		b = appendRow(b, idFields)
		b = appendUUIDField(b, r.ID)
		b = appendInt64Field(b, pgtype.Int8OID, first+int64(i))
		b = appendInt64Field(b, pgtype.TimestamptzOID, serverMicros(r.Time))
		setLength(b, start)
	}
	setLength(b, array)
	e.buf = b
	e.endBind(message)
}

func (e *encoded) events(records []*datastorage.Record, first int64, row uint32) {
	message := e.bind(eventsStatement, eventsStatement, 1)
	array := e.open()
	b := appendArray(e.buf, row, len(records))
	for i, r := range records {
		start := len(b)
		b = appendRow(b, eventFields)
		b = appendInt64Field(b, pgtype.Int8OID, first+int64(i))
		b = appendInt64Field(b, pgtype.TimestamptzOID, serverMicros(r.Time))
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
	setLength(b, array)
	e.buf = b
	e.endBind(message)
}

func (e *encoded) changes(changes []*datastorage.CatalogChange, row uint32) {
	message := e.bind(changesStatement, changesStatement, 2)
	array := e.open()
	b := appendArray(e.buf, row, len(changes))
	for _, c := range changes {
		start := len(b)
		b = appendRow(b, changeFields)
		b = appendInt64Field(b, pgtype.Int8OID, c.Version)
		b = appendInt64Field(b, pgtype.TimestamptzOID, serverMicros(c.Time))
		b = appendTextField(b, string(c.Kind))
		if c.WorkflowID == uuid.Nil {
			b = appendNullField(b, pgtype.UUIDOID)
		} else {
			b = appendUUIDField(b, c.WorkflowID)
		}
		if c.Key == "" {
			b = appendNullField(b, pgtype.ByteaOID)
		} else {
			b = append(appendField(b, pgtype.ByteaOID, len(c.Key)), c.Key...)
		}
		b = append(appendField(b, pgtype.TextOID, len(c.Document)), c.Document...)
		setLength(b, start)
	}
	setLength(b, array)
	e.buf = b
	e.bigint(changes[0].Version)
	e.endBind(message)
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

// setLength writes, at start, the length of what follows there.
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

// serverEpoch is 2000-01-01 UTC, from which PostgreSQL counts microseconds, in microseconds since 1970.
const serverEpoch = 946_684_800_000_000

func serverMicros(t time.Time) int64 { return t.UnixMicro() - serverEpoch }
