// Package datastorage is the domain of DataStorage: audit events and their canonical body, notifications, queries and
// the one error type. It knows no SQL and no HTTP.
package datastorage

import "github.com/google/uuid"

// Namespace is the UUIDv5 namespace of every identifier that DataStorage derives from content: the event of a
// notification (name = notification_id) and the event of an imported line without event_id.
var Namespace = uuid.MustParse("6f1d6c0e-7f0a-5d0b-9c53-2f6f3f0a8b11")

// Defaults and bounds of the HTTP contract.
const (
	// DefaultLimit is the page size when a query names none.
	DefaultLimit = 50
	// MaxLimit is the largest page size.
	MaxLimit = 1000
	// CountBound is the number of matches up to which a total is exact unless the query asks for more.
	CountBound = 10_000
	// MaxEventDataBytes is the largest event_data, counted as canonical bytes.
	MaxEventDataBytes = 256 << 10
	// MaxEventDataDepth is the deepest nesting of event_data; the object itself is 1.
	MaxEventDataDepth = 32
	// MaxNumberLength is the longest JSON number, in characters, anywhere in a body.
	MaxNumberLength = 100
	// DefaultRetentionDays is how long an event is kept when neither it nor its category says.
	DefaultRetentionDays = 2555
	// MaxRetentionDays is the longest retention that an event may ask for.
	MaxRetentionDays = 36_500
)
