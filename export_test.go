package datastorage

import "time"

// DecodeThoroughly is Decode without the quick way.
func (r *Rules) DecodeThoroughly(raw []byte, now time.Time) (Event, error) {
	return r.thoroughly(raw, now)
}

// DecodeBatchThoroughly is DecodeBatch without the quick way.
func (r *Rules) DecodeBatchThoroughly(raw []byte, now time.Time, limit int) ([]Event, error) {
	return r.thoroughlyAll(raw, now, limit)
}

// DecodeQuickly reports whether an event is decoded the quick way.
func (r *Rules) DecodeQuickly(raw []byte, now time.Time) bool {
	var e Event
	return r.quickly(raw, &e, now)
}

// DecodeBatchQuickly reports whether a batch is decoded the quick way.
func (r *Rules) DecodeBatchQuickly(raw []byte, now time.Time, limit int) bool {
	return r.quicklyAll(raw, now, limit) != nil
}

// CanonicalObject returns the canonical form of the object that raw begins with and its end in raw, or what is wrong.
func CanonicalObject(raw []byte) (data []byte, end int, fault string) {
	var c canonicalizer
	return c.run(raw, 0)
}
