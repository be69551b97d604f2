package sqlitedb

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Code returns the primary result code of SQLite in err's chain, 0 when there is none.
func Code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// IsConstraint reports whether a row breaks a constraint, such as a primary key.
func IsConstraint(err error) bool { return Code(err) == sqlite3.SQLITE_CONSTRAINT }
