package sqlitedb

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Error is a failure that SQLite tells.
type Error struct {
	code int // extended
	text string
}

// Error implements error.
func (e *Error) Error() string { return e.text }

// extended returns the extended result code of SQLite in err's chain, 0 when there is none.
func extended(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.code
	}
	// Migrations go through the driver.
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// Code returns the primary result code of SQLite in err's chain, 0 when there is none.
func Code(err error) int { return extended(err) & 0xff }

// IsConstraint reports whether a row breaks a constraint, such as a primary key.
func IsConstraint(err error) bool { return Code(err) == sqlite3.SQLITE_CONSTRAINT }

// IsTaken reports whether a row's primary key or unique value is taken.
func IsTaken(err error) bool {
	switch extended(err) {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return true
	}
	return false
}

// IsNotNull reports whether a row lacks a value that it must have.
func IsNotNull(err error) bool { return extended(err) == sqlite3.SQLITE_CONSTRAINT_NOTNULL }
