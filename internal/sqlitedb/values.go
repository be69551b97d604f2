package sqlitedb

import (
	"database/sql/driver"
	"time"
)

// The columns of STRICT tables have the types that the schema gives them, so these conversions hold for every row.

// Blob returns a BLOB, nil for an empty one.
func Blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}

// Text returns a TEXT, "" for NULL.
func Text(v driver.Value) string {
	s, _ := v.(string)
	return s
}

// Micros returns a time that an INTEGER holds as microseconds since 1970, UTC.
func Micros(v driver.Value) time.Time { return time.UnixMicro(v.(int64)).UTC() }
