package sqlitedb

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// A commit writes each page of SQLite's log in two pieces, one behind the other. The file system below joins the pieces: it
// keeps adjacent ones in memory and writes them at once, when a commit is complete, when they are synced, or when anything
// else could see that they are missing.
//
// SQLite writes the frames of a commit (each a header and a page), syncs them with synchronous=FULL, and publishes them in
// the log's index, from which other connections and processes learn what to read from the file; in this order. Nothing is
// called between the last frame and the index with synchronous=NORMAL. So what waits is written with the page of the last
// frame, whose header holds the size of the database where that of any other frame holds 0: a commit is in the file before
// it is in the index, and SQLite is told when that fails, as long as it can still give the transaction up. A commit that had
// to write pages before it was complete may read its frames again and replace their headers alone, for their checksums;
// the header that ends it is then the last of all, and is not held back either.
//
// What a transaction wrote without a commit is written before its lock is given back: the next writer, of another process
// too, writes to the same place.
//
// The file system is SQLite's own for the machine, with some methods replaced for logs. Their state lies behind SQLite's, in
// memory that the garbage collector does not know.

const (
	joinedName = "joined"
	// joinedBytes is how much may wait; the machine's file system takes less than 128 KiB at once.
	joinedBytes = 64 << 10
	// frameHeader is the size of the header of a frame; nothing else of that size is written to a log.
	frameHeader = 24
	// frameSize is where the size of the database is in it, 4 bytes that are 0 unless the frame ends a commit.
	frameSize = 4
)

// WriterDSN is DSN for a connection that writes: every commit is synced before it is answered, in few system calls.
func WriterDSN(path string, cacheKiB int, pragmas ...string) (string, error) {
	return joinedDSN(path, cacheKiB, append(pragmas, "synchronous(FULL)"))
}

// UnsyncedDSN is WriterDSN without the sync: a commit outlives the process, but a power cut may take the last ones.
func UnsyncedDSN(path string, cacheKiB int, pragmas ...string) (string, error) {
	return joinedDSN(path, cacheKiB, append(pragmas, "synchronous(NORMAL)"))
}

func joinedDSN(path string, cacheKiB int, pragmas []string) (string, error) {
	if err := registerJoined(); err != nil {
		return "", fmt.Errorf("register the file system of databases: %w", err)
	}
	return DSN(path, cacheKiB, pragmas...) + "&vfs=" + joinedName, nil
}

// machine is the file system below.
var machine *sqlite3.Tsqlite3_vfs

var registerJoined = sync.OnceValue(func() error {
	usePageCache()
	tls := libc.NewTLS()
	defer tls.Close()
	machine = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	if machine == nil {
		return errors.New("SQLite has none for this machine")
	}
	name, err := libc.CString(joinedName)
	if err != nil {
		return err
	}
	p := libc.Xmalloc(tls, types.Size_t(unsafe.Sizeof(*machine)))
	if p == 0 {
		return errors.New("out of memory")
	}
	vfs := at[sqlite3.Tsqlite3_vfs](p)
	*vfs = *machine
	vfs.FzName = name
	vfs.FszOsFile = int32(stateOffset() + unsafe.Sizeof(joinedFile{}))
	vfs.FxOpen = pointer(joinedOpen)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, p, 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("SQLite refuses it with code %d", rc)
	}
	return nil
})

// joinedFile is the state of an open database or log, behind that of the machine's file system.
type joinedFile struct {
	methods sqlite3.Tsqlite3_io_methods // what SQLite calls
	machine uintptr                     // what the machine's file system has for it
	log     uintptr                     // of a database: its open log, or 0
	db      uintptr                     // of a log: its database
	bytes   uintptr                     // of a log: what waits to be written
	n       int32                       // how many bytes wait
	offset  int64                       // where they belong
	read    int64                       // where the last read began
	ends    bool                        // whether the last header of a frame ends a commit
}

// stateOffset is where the state of a file lies.
func stateOffset() uintptr { return (uintptr(machine.FszOsFile) + 15) &^ 15 }

func stateOf(file uintptr) *joinedFile { return at[joinedFile](file + stateOffset()) }

func (f *joinedFile) below() *sqlite3.Tsqlite3_io_methods {
	return at[sqlite3.Tsqlite3_io_methods](f.machine)
}

func joinedOpen(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
	rc := call[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](machine.FxOpen)(
		tls, uintptr(unsafe.Pointer(machine)), name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || flags&(sqlite3.SQLITE_OPEN_MAIN_DB|sqlite3.SQLITE_OPEN_WAL) == 0 {
		return rc
	}
	base := at[sqlite3.Tsqlite3_file](file)
	f := stateOf(file)
	*f = joinedFile{methods: *at[sqlite3.Tsqlite3_io_methods](base.FpMethods), machine: base.FpMethods}
	if flags&sqlite3.SQLITE_OPEN_WAL != 0 {
		if f.bytes = libc.Xmalloc(tls, joinedBytes); f.bytes == 0 {
			_ = call[func(*libc.TLS, uintptr) int32](f.below().FxClose)(tls, file)
			base.FpMethods = 0
			return sqlite3.SQLITE_NOMEM
		}
		f.db = sqlite3.Xsqlite3_database_file_object(tls, name)
		stateOf(f.db).log = file
		f.methods.FxClose = pointer(logClose)
		f.methods.FxRead = pointer(logRead)
		f.methods.FxWrite = pointer(logWrite)
		f.methods.FxTruncate = pointer(logTruncate)
		f.methods.FxSync = pointer(logSync)
		f.methods.FxFileSize = pointer(logFileSize)
	} else {
		f.methods.FxShmLock = pointer(dbShmLock)
	}
	base.FpMethods = uintptr(unsafe.Pointer(&f.methods))
	return sqlite3.SQLITE_OK
}

// flush writes what waits. When that fails it is forgotten: SQLite is told, and gives the transaction up.
func (f *joinedFile) flush(tls *libc.TLS, file uintptr) int32 {
	if f.n == 0 {
		return sqlite3.SQLITE_OK
	}
	n := f.n
	f.n = 0
	return call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.below().FxWrite)(tls, file, f.bytes, n, f.offset)
}

func logWrite(tls *libc.TLS, file, bytes uintptr, n int32, offset int64) int32 {
	f := stateOf(file)
	if n == frameHeader {
		f.ends = *at[uint32](bytes + frameSize) != 0
	}
	if rc := f.append(tls, file, bytes, n, offset); rc != sqlite3.SQLITE_OK {
		return rc
	}
	// No page follows a header that takes the place of one that was just read.
	if f.ends && (n != frameHeader || offset == f.read) {
		return f.flush(tls, file)
	}
	return sqlite3.SQLITE_OK
}

// append has bytes wait, behind those that do.
func (f *joinedFile) append(tls *libc.TLS, file, bytes uintptr, n int32, offset int64) int32 {
	if f.n > 0 && (offset != f.offset+int64(f.n) || n > joinedBytes-f.n) {
		if rc := f.flush(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if n > joinedBytes {
		return call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.below().FxWrite)(tls, file, bytes, n, offset)
	}
	if f.n == 0 {
		f.offset = offset
	}
	libc.Xmemcpy(tls, f.bytes+uintptr(f.n), bytes, types.Size_t(n))
	f.n += n
	return sqlite3.SQLITE_OK
}

func logRead(tls *libc.TLS, file, bytes uintptr, n int32, offset int64) int32 {
	f := stateOf(file)
	if rc := f.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	f.read = offset
	return call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.below().FxRead)(tls, file, bytes, n, offset)
}

func logTruncate(tls *libc.TLS, file uintptr, size int64) int32 {
	f := stateOf(file)
	if rc := f.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return call[func(*libc.TLS, uintptr, int64) int32](f.below().FxTruncate)(tls, file, size)
}

func logSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := stateOf(file)
	if rc := f.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return call[func(*libc.TLS, uintptr, int32) int32](f.below().FxSync)(tls, file, flags)
}

func logFileSize(tls *libc.TLS, file, size uintptr) int32 {
	f := stateOf(file)
	if rc := f.flush(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return call[func(*libc.TLS, uintptr, uintptr) int32](f.below().FxFileSize)(tls, file, size)
}

func logClose(tls *libc.TLS, file uintptr) int32 {
	f := stateOf(file)
	// What waits belongs to no commit.
	libc.Xfree(tls, f.bytes)
	stateOf(f.db).log = 0
	return call[func(*libc.TLS, uintptr) int32](f.below().FxClose)(tls, file)
}

// dbShmLock takes and gives back the locks of the log. Bytes that still wait belong to no commit, so that nobody need be
// told when they cannot be written.
func dbShmLock(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	f := stateOf(file)
	if f.log != 0 && flags&sqlite3.SQLITE_SHM_UNLOCK != 0 {
		_ = stateOf(f.log).flush(tls, f.log)
	}
	return call[func(*libc.TLS, uintptr, int32, int32, int32) int32](f.below().FxShmLock)(tls, file, offset, n, flags)
}

// at is the value at an address that SQLite gave.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// pointer is how SQLite names a function, which must not be a closure, and call makes a function of such a name.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

func call[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }
