package datastorage

import (
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// SaltSize is the number of random bytes that make a commitment hiding.
const SaltSize = 16

// Outcomes are the values of event_outcome.
var Outcomes = []string{"success", "failure", "pending"}

// Categories are the values of event_category that are always known; configuration may add more.
var Categories = []string{
	"gateway", "notification", "analysis", "signalprocessing", "workflow", "execution", "orchestration",
}

// Event is one audit event with its defaults filled in. Lengths count characters; times are UTC in whole microseconds.
type Event struct {
	ID            uuid.UUID // never the nil UUID once the event is complete
	Version       string    // 1 to 20
	Type          string    // 1 to 100
	Time          time.Time
	Category      string // one of Categories, or a configured one
	Action        string // 1 to 50
	Outcome       string // one of Outcomes
	CorrelationID string // 1 to 255
	// Data is event_data, a JSON object in canonical form (RFC 8785, but numbers stay as they were written).
	Data         jsontext.Value
	ActorType    string    // up to 50
	ActorID      string    // up to 255
	ResourceType string    // up to 100
	ResourceID   string    // up to 255
	ParentID     uuid.UUID // the nil UUID when there is none
	Namespace    string    // up to 253; "" when there is none
	ClusterName  string    // up to 255; "" when there is none
	Severity     string    // up to 20
	DurationMS   *int64    // 0 to 2^53-1; nil when there is none
	ErrorCode    string    // up to 100; "" when there is none
	ErrorMessage string    // up to 4096; "" when there is none
	TraceID      string    // 32 lower-case hex digits; "" when there is none
	SpanID       string    // 16 lower-case hex digits; "" when there is none
	Retention    int       // days, 1 to MaxRetentionDays
	Sensitive    bool
	ProducerID   string // up to 255; "" when there is none
	ProducerSeq  *int64 // 0 or more; nil exactly when ProducerID is ""

	// Sent says which fields came from the producer; the others were filled in.
	Sent FieldSet
}

// Field is one field of an event; its value is a bit of a FieldSet.
type Field uint32

// The fields of an event, in the order in which they stand in the body.
const (
	FieldActorID Field = 1 << iota
	FieldActorType
	FieldClusterName
	FieldCorrelationID
	FieldDurationMS
	FieldErrorCode
	FieldErrorMessage
	FieldAction
	FieldCategory
	FieldData
	FieldID
	FieldOutcome
	FieldTime
	FieldType
	FieldSensitive
	FieldNamespace
	FieldParentID
	FieldProducerID
	FieldProducerSeq
	FieldResourceID
	FieldResourceType
	FieldRetention
	FieldSeverity
	FieldSpanID
	FieldTraceID
	FieldVersion
)

// FieldSet is a set of fields.
type FieldSet uint32

// Has reports whether f is in the set.
func (s FieldSet) Has(f Field) bool { return s&FieldSet(f) != 0 }

// Record is an event that is ready to be stored: its columns, its body, and the commitment that the ledger holds.
type Record struct {
	Event
	// Body is the canonical body of the event; see AppendBody.
	Body []byte
	// Salt is kept beside the body; who erases it makes the commitment meaningless.
	Salt [SaltSize]byte
	// Commitment is SHA-256(Salt ‖ Body).
	Commitment [sha256.Size]byte
}

// NewRecord makes the record of a complete event with the given salt.
func NewRecord(e Event, salt [SaltSize]byte) *Record {
	r := &Record{Event: e, Salt: salt}
	buf := make([]byte, SaltSize, SaltSize+len(e.Data)+bodyOverhead)
	copy(buf, salt[:])
	buf = AppendBody(buf, &r.Event)
	r.Body = buf[SaltSize:]
	r.Commitment = sha256.Sum256(buf)
	// The body holds event_data; one copy is enough.
	r.Data = nil
	return r
}

// Commitment returns SHA-256(salt ‖ body), which the ledger holds for an event (LEDGER format, entry version 1).
func Commitment(salt [SaltSize]byte, body []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(salt[:])
	h.Write(body)
	var c [sha256.Size]byte
	h.Sum(c[:0])
	return c
}

// SameContent reports whether every field that the producer sent in e equals that of stored, an event read back from
// its body. What the server filled in is not compared.
func (e *Event) SameContent(stored *Event) bool {
	sent := e.Sent
	same := func(f Field, a, b string) bool { return !sent.Has(f) || a == b }
	sameInt := func(f Field, a, b *int64) bool {
		return !sent.Has(f) || (a == nil) == (b == nil) && (a == nil || *a == *b)
	}
	return same(FieldVersion, e.Version, stored.Version) &&
		same(FieldType, e.Type, stored.Type) &&
		(!sent.Has(FieldTime) || e.Time.Equal(stored.Time)) &&
		same(FieldCategory, e.Category, stored.Category) &&
		same(FieldAction, e.Action, stored.Action) &&
		same(FieldOutcome, e.Outcome, stored.Outcome) &&
		same(FieldCorrelationID, e.CorrelationID, stored.CorrelationID) &&
		same(FieldData, string(e.Data), string(stored.Data)) &&
		same(FieldActorType, e.ActorType, stored.ActorType) &&
		same(FieldActorID, e.ActorID, stored.ActorID) &&
		same(FieldResourceType, e.ResourceType, stored.ResourceType) &&
		same(FieldResourceID, e.ResourceID, stored.ResourceID) &&
		(!sent.Has(FieldParentID) || e.ParentID == stored.ParentID) &&
		same(FieldNamespace, e.Namespace, stored.Namespace) &&
		same(FieldClusterName, e.ClusterName, stored.ClusterName) &&
		same(FieldSeverity, e.Severity, stored.Severity) &&
		sameInt(FieldDurationMS, e.DurationMS, stored.DurationMS) &&
		same(FieldErrorCode, e.ErrorCode, stored.ErrorCode) &&
		same(FieldErrorMessage, e.ErrorMessage, stored.ErrorMessage) &&
		same(FieldTraceID, e.TraceID, stored.TraceID) &&
		same(FieldSpanID, e.SpanID, stored.SpanID) &&
		(!sent.Has(FieldRetention) || e.Retention == stored.Retention) &&
		(!sent.Has(FieldSensitive) || e.Sensitive == stored.Sensitive) &&
		same(FieldProducerID, e.ProducerID, stored.ProducerID) &&
		sameInt(FieldProducerSeq, e.ProducerSeq, stored.ProducerSeq)
}
