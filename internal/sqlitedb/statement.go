package sqlitedb

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxKept is how many bytes of arguments a statement keeps room for between its uses.
const maxKept = 64 << 10

// statement is a prepared statement.
type statement struct {
	*database
	p          uintptr // what SQLite calls a statement
	parameters int
	// bytes is room for the texts and blobs of the arguments, which SQLite reads from there while the statement runs. It lies
	// in memory that the garbage collector does not know.
	bytes uintptr
	size  int
}

// prepare prepares a text that holds one statement.
func (d *database) prepare(text string) (*statement, error) {
	z, err := libc.CString(text)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(d.tls, z)
	const word = int(unsafe.Sizeof(uintptr(0)))
	out := d.tls.Alloc(2 * word)
	defer d.tls.Free(2 * word)
	rc := sqlite3.Xsqlite3_prepare_v3(d.tls, d.p, z, int32(len(text)+1), sqlite3.SQLITE_PREPARE_PERSISTENT, out, out+uintptr(word))
	if err := d.failure(rc); err != nil {
		return nil, err
	}
	s := &statement{database: d, p: *at[uintptr](out)}
	rest := text[*at[uintptr](out + uintptr(word))-z:]
	if s.p == 0 || strings.TrimSpace(rest) != "" {
		s.close()
		return nil, fmt.Errorf("a text must hold one statement: %.100q", text)
	}
	s.parameters = int(sqlite3.Xsqlite3_bind_parameter_count(d.tls, s.p))
	return s, nil
}

// close ends the statement. What it tells of the last use is known.
func (s *statement) close() {
	sqlite3.Xsqlite3_finalize(s.tls, s.p)
	s.free()
}

func (s *statement) free() {
	libc.Xfree(s.tls, s.bytes)
	s.bytes, s.size = 0, 0
}

// run runs the statement to its end.
func (s *statement) run(args []Argument) (Result, error) {
	defer s.reset()
	if err := s.bind(args); err != nil {
		return Result{}, err
	}
	for {
		more, err := s.step()
		if err != nil {
			return Result{}, err
		}
		if !more {
			return Result{
				Changed: sqlite3.Xsqlite3_changes64(s.tls, s.database.p), LastID: sqlite3.Xsqlite3_last_insert_rowid(s.tls, s.database.p),
			}, nil
		}
	}
}

// step goes to the next row, if any.
func (s *statement) step() (more bool, err error) {
	switch rc := sqlite3.Xsqlite3_step(s.tls, s.p); rc {
	case sqlite3.SQLITE_ROW:
		return true, nil
	case sqlite3.SQLITE_DONE:
		return false, nil
	default:
		return false, s.failure(rc)
	}
}

// reset makes the statement ready for its next use. Its result is that of the last step.
func (s *statement) reset() {
	sqlite3.Xsqlite3_reset(s.tls, s.p)
	if s.size > maxKept {
		s.free()
	}
}

// bind sets all arguments.
func (s *statement) bind(args []Argument) error {
	if len(args) != s.parameters {
		return fmt.Errorf("%d arguments for a statement that takes %d", len(args), s.parameters)
	}
	size := 0
	for i := range args {
		size += length(args[i].Value)
	}
	if err := s.reserve(size); err != nil {
		return err
	}
	room := s.bytes
	for i := range args {
		rc, err := s.bindOne(int32(i+1), args[i].Value, room)
		if err == nil {
			err = s.failure(rc)
		}
		if err != nil {
			return err
		}
		room += uintptr(length(args[i].Value))
	}
	return nil
}

// length is how many bytes an argument takes.
func length(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case RawText:
		return len(v)
	}
	return 0
}

// reserve makes room for the bytes of arguments; there is always some, since a text at no address is NULL.
func (s *statement) reserve(size int) error {
	if size > math.MaxInt32 {
		return &Error{code: sqlite3.SQLITE_TOOBIG, text: "the arguments are too large"}
	}
	if s.size > size {
		return nil
	}
	s.free()
	if s.bytes = libc.Xmalloc(s.tls, types.Size_t(size+1)); s.bytes == 0 {
		return &Error{code: sqlite3.SQLITE_NOMEM, text: "out of memory"}
	}
	s.size = size + 1
	return nil
}

var errArgument = errors.New("an argument has a type that SQLite does not know")

// bindOne sets an argument. Its bytes go to room, and stay there while the statement runs.
func (s *statement) bindOne(i int32, v any, room uintptr) (rc int32, err error) {
	switch v := v.(type) {
	case nil:
		return sqlite3.Xsqlite3_bind_null(s.tls, s.p, i), nil
	case int64:
		return sqlite3.Xsqlite3_bind_int64(s.tls, s.p, i, v), nil
	case float64:
		return sqlite3.Xsqlite3_bind_double(s.tls, s.p, i, v), nil
	case bool:
		n := int64(0)
		if v {
			n = 1
		}
		return sqlite3.Xsqlite3_bind_int64(s.tls, s.p, i, n), nil
	case string:
		copy(unsafe.Slice(at[byte](room), len(v)), v)
		return sqlite3.Xsqlite3_bind_text(s.tls, s.p, i, room, int32(len(v)), 0), nil
	case RawText:
		copy(unsafe.Slice(at[byte](room), len(v)), v)
		return sqlite3.Xsqlite3_bind_text(s.tls, s.p, i, room, int32(len(v)), 0), nil
	case []byte:
		if v == nil {
			return sqlite3.Xsqlite3_bind_null(s.tls, s.p, i), nil
		}
		copy(unsafe.Slice(at[byte](room), len(v)), v)
		return sqlite3.Xsqlite3_bind_blob(s.tls, s.p, i, room, int32(len(v)), 0), nil
	}
	return 0, fmt.Errorf("%w: %T", errArgument, v)
}

// row appends the columns of the row that the statement stands at.
func (s *statement) row(row []driver.Value) []driver.Value {
	for i := range sqlite3.Xsqlite3_column_count(s.tls, s.p) {
		row = append(row, s.column(i))
	}
	return row
}

// column is the value of a column; nil for NULL and for an empty blob.
func (s *statement) column(i int32) driver.Value {
	switch sqlite3.Xsqlite3_column_type(s.tls, s.p, i) {
	case sqlite3.SQLITE_INTEGER:
		return sqlite3.Xsqlite3_column_int64(s.tls, s.p, i)
	case sqlite3.SQLITE_FLOAT:
		return sqlite3.Xsqlite3_column_double(s.tls, s.p, i)
	case sqlite3.SQLITE_TEXT:
		p := sqlite3.Xsqlite3_column_text(s.tls, s.p, i)
		return string(s.columnBytes(p, i))
	case sqlite3.SQLITE_BLOB:
		p := sqlite3.Xsqlite3_column_blob(s.tls, s.p, i)
		return append([]byte(nil), s.columnBytes(p, i)...)
	}
	return nil
}

// columnBytes are the bytes of a column at an address, as long as the statement stands at its row.
func (s *statement) columnBytes(p uintptr, i int32) []byte {
	if p == 0 {
		return nil
	}
	return unsafe.Slice(at[byte](p), sqlite3.Xsqlite3_column_bytes(s.tls, s.p, i))
}
