package sqlitedb

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(killedFile); path != "" {
		if err := writeUntilKilled(path, os.Getenv(killedMode)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	registerDisk()
	os.Exit(m.Run())
}

// disk is what the disk does with the log of a database. The functions are called by the connection that writes.
type disk struct {
	// write says how much of n bytes is written, and SQLite's code for that.
	write func(n int32) (taken, rc int32)
	// sync is called before the sync, which is made unless the result is an error.
	sync func() int32
	// unlock is called before the lock of writers is given back, with the bytes of the log that still wait.
	unlock func(waiting int32)
	// barrier is called where what is written to the log's index so far can be seen, with the bytes of the log that wait.
	barrier func(waiting int32)
}

var (
	disks sync.Map // of *disk, by the path of the log or database
	files sync.Map // of *diskFile, by SQLite's file
	below *sqlite3.Tsqlite3_vfs
)

// diskFile is an open log or database.
type diskFile struct {
	*disk
	honest *sqlite3.Tsqlite3_io_methods
}

// watchLog decides what happens to the log of a database that is opened later, watchLocks with its locks. The locks are
// those of connections that join their writes.
func watchLog(path string, d *disk)   { disks.Store(path+"-wal", d) }
func watchLocks(path string, d *disk) { disks.Store(path, d) }

// registerDisk makes a file system whose disks can fail the one that everything in this process builds on.
func registerDisk() {
	usePageCache()
	tls := libc.NewTLS()
	defer tls.Close()
	below = at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
	name, err := libc.CString("disk")
	if err != nil {
		panic(err)
	}
	p := libc.Xmalloc(tls, types.Size_t(unsafe.Sizeof(*below)))
	vfs := at[sqlite3.Tsqlite3_vfs](p)
	*vfs = *below
	vfs.FzName, vfs.FxOpen = name, pointer(diskOpen)
	sqlite3.Xsqlite3_vfs_register(tls, p, 1)
}

func diskOpen(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
	rc := call[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](below.FxOpen)(
		tls, uintptr(unsafe.Pointer(below)), name, file, flags, out)
	if rc != sqlite3.SQLITE_OK || name == 0 {
		return rc
	}
	d, ok := disks.Load(libc.GoString(name))
	if !ok {
		return rc
	}
	base := at[sqlite3.Tsqlite3_file](file)
	f := &diskFile{d.(*disk), at[sqlite3.Tsqlite3_io_methods](base.FpMethods)}
	files.Store(file, f)
	// It stays until the tests end.
	base.FpMethods = libc.Xmalloc(tls, types.Size_t(unsafe.Sizeof(*f.honest)))
	methods := at[sqlite3.Tsqlite3_io_methods](base.FpMethods)
	*methods = *f.honest
	if flags&sqlite3.SQLITE_OPEN_WAL != 0 {
		methods.FxWrite, methods.FxSync = pointer(diskWrite), pointer(diskSync)
	} else {
		methods.FxShmLock, methods.FxShmBarrier = pointer(diskShmLock), pointer(diskShmBarrier)
	}
	return rc
}

func fileOf(file uintptr) *diskFile {
	f, _ := files.Load(file)
	return f.(*diskFile)
}

func diskWrite(tls *libc.TLS, file, bytes uintptr, n int32, offset int64) int32 {
	f := fileOf(file)
	taken, rc := f.write(n)
	written := call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.honest.FxWrite)(tls, file, bytes, taken, offset)
	if rc != sqlite3.SQLITE_OK {
		return rc
	}
	return written
}

func diskSync(tls *libc.TLS, file uintptr, flags int32) int32 {
	f := fileOf(file)
	if rc := f.sync(); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return call[func(*libc.TLS, uintptr, int32) int32](f.honest.FxSync)(tls, file, flags)
}

func diskShmLock(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	f := fileOf(file)
	if f.unlock != nil && offset == 0 && flags&sqlite3.SQLITE_SHM_UNLOCK != 0 {
		f.unlock(waiting(file))
	}
	return call[func(*libc.TLS, uintptr, int32, int32, int32) int32](f.honest.FxShmLock)(tls, file, offset, n, flags)
}

func diskShmBarrier(tls *libc.TLS, file uintptr) {
	f := fileOf(file)
	if f.barrier != nil {
		f.barrier(waiting(file))
	}
	call[func(*libc.TLS, uintptr)](f.honest.FxShmBarrier)(tls, file)
}

// waiting is how many bytes of the log of a database wait.
func waiting(file uintptr) int32 {
	log := stateOf(file).log
	if log == 0 {
		return 0
	}
	return stateOf(log).n
}
