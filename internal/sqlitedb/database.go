package sqlitedb

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// database is an open connection of SQLite.
type database struct {
	tls *libc.TLS
	p   uintptr // what SQLite calls a connection
	// wait is what ends the wait for a lock; nil when nothing does. ended says that the statement that runs must end.
	wait  <-chan struct{}
	ended atomic.Bool
}

// openDatabase opens the file of a DSN and sets the connection up as it says.
func openDatabase(dsn string) (*database, error) {
	_, query, _ := strings.Cut(dsn, "?")
	settings, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("read the data source name: %w", err)
	}
	d := &database{tls: libc.NewTLS()}
	if err := d.open(dsn); err != nil {
		return nil, errors.Join(err, d.close())
	}
	watched.Store(d.p, d)
	if err := d.setUp(settings["_pragma"]); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// open opens the file. SQLite reads the DSN for the file system; what begins with _ it passes over.
func (d *database) open(dsn string) error {
	name, err := libc.CString(dsn)
	if err != nil {
		return err
	}
	defer libc.Xfree(d.tls, name)
	out := d.tls.Alloc(int(unsafe.Sizeof(d.p)))
	defer d.tls.Free(int(unsafe.Sizeof(d.p)))
	rc := sqlite3.Xsqlite3_open_v2(d.tls, name, out,
		sqlite3.SQLITE_OPEN_READWRITE|sqlite3.SQLITE_OPEN_CREATE|sqlite3.SQLITE_OPEN_NOMUTEX|sqlite3.SQLITE_OPEN_URI, 0)
	// There may be a connection after an error too, which has its text.
	d.p = *at[uintptr](out)
	return d.failure(rc)
}

// setUp applies what every connection has, and pragmas.
func (d *database) setUp(pragmas []string) error {
	if err := d.failure(sqlite3.Xsqlite3_extended_result_codes(d.tls, d.p, 1)); err != nil {
		return err
	}
	// A text in double quotes is the name of a column, never a value.
	for _, option := range []int32{sqlite3.SQLITE_DBCONFIG_DQS_DDL, sqlite3.SQLITE_DBCONFIG_DQS_DML} {
		if err := d.switchOff(option); err != nil {
			return err
		}
	}
	for _, pragma := range pragmas {
		s, err := d.prepare("PRAGMA " + pragma)
		if err == nil {
			_, err = s.run(nil)
			s.close()
		}
		if err != nil {
			return fmt.Errorf("PRAGMA %s: %w", pragma, err)
		}
	}
	return nil
}

func (d *database) switchOff(option int32) error {
	const size = int(2 * unsafe.Sizeof(uint64(0)))
	list := d.tls.Alloc(size)
	defer d.tls.Free(size)
	return d.failure(sqlite3.Xsqlite3_db_config(d.tls, d.p, option, libc.VaList(list, int32(0), uintptr(0))))
}

// close closes the connection, whose statements are closed.
func (d *database) close() error {
	err := d.failure(sqlite3.Xsqlite3_close_v2(d.tls, d.p))
	watched.Delete(d.p)
	d.tls.Close()
	return err
}

// failure is the error for a result code of SQLite, nil for success.
func (d *database) failure(rc int32) error {
	if rc == sqlite3.SQLITE_OK {
		return nil
	}
	text := libc.GoString(sqlite3.Xsqlite3_errstr(d.tls, rc))
	// The connection's own text is of its last failure, which may be another.
	if d.p != 0 && sqlite3.Xsqlite3_extended_errcode(d.tls, d.p)&0xff == rc&0xff {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(d.tls, d.p)); more != text {
			text += ": " + more
		}
	}
	return &Error{code: int(rc), text: fmt.Sprintf("%s (%d)", text, rc)}
}
