package sqlitedb

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// TestPageCache_InUse looks into a connection.
func TestPageCache_InUse(t *testing.T) {
	t.Parallel()
	c := connect(t, DSN(filepath.Join(t.TempDir(), "file.db"), 1<<10))
	run(t, c, "CREATE TABLE rows (id INTEGER PRIMARY KEY)")
	btree := at[sqlite3.TBtree](at[sqlite3.TDb](at[sqlite3.Tsqlite3](c.db.p).FaDb).FpBt)
	pager := at[sqlite3.TPager](at[sqlite3.TBtShared](btree.FpBt).FpPager)
	cache := at[sqlite3.TPCache](pager.FpPCache).FpCache
	if c := at[pageCache](cache); c.pageSize != PageSize || c.max < 200 || c.max > 1<<20/PageSize || c.pages == 0 {
		t.Errorf("a connection has %d of %d pages of %d bytes", c.pages, c.max, c.pageSize)
	}
}

// testCache is a page cache of 32 pages, and what it must hold.
type testCache struct {
	t    *testing.T
	tls  *libc.TLS
	p    uintptr
	held map[uint32]uintptr // pages by number, of which those in no use may be gone
	used map[uint32]bool    // the numbers of those that are in use
}

const (
	testPages = 32
	testExtra = 100
)

func newTestCache(t *testing.T) *testCache {
	t.Helper()
	c := &testCache{t: t, tls: libc.NewTLS(), held: map[uint32]uintptr{}, used: map[uint32]bool{}}
	c.p = cacheCreate(c.tls, PageSize, testExtra, 1)
	cacheSetSize(c.tls, c.p, testPages)
	t.Cleanup(func() { cacheDestroy(c.tls, c.p); c.tls.Close() })
	return c
}

// bytes are those of a page, and extra those that SQLite has beside them.
func bytesOf(p uintptr) (bytes, extra []byte) {
	return unsafe.Slice(at[byte](pageAt(p).FpBuf), PageSize), unsafe.Slice(at[byte](pageAt(p).FpExtra), testExtra)
}

func (c *testCache) fetch(number uint32, create int32) {
	p := cacheFetch(c.tls, c.p, number, create)
	known, ok := c.held[number]
	if p == 0 {
		if c.used[number] || create == 2 {
			c.t.Fatalf("page %d is not there", number)
		}
		delete(c.held, number)
		return
	}
	bytes, extra := bytesOf(p)
	switch {
	case slices.Equal(extra[:8], make([]byte, 8)):
		if c.used[number] || create == 0 {
			c.t.Fatalf("page %d is new", number)
		}
		c.mark(p, number)
	case !ok || p != known || string(bytes[:20]) != fmt.Sprintf("%020d", number) || string(bytes[PageSize-20:]) != fmt.Sprintf("%020d", number):
		c.t.Fatalf("page %d is another one: %.20q", number, bytes)
	}
	c.held[number], c.used[number] = p, true
}

// mark writes a number into its page, from end to end.
func (c *testCache) mark(p uintptr, number uint32) {
	bytes, extra := bytesOf(p)
	for i := 0; i < PageSize; i++ {
		bytes[i] = ' '
	}
	copy(bytes, fmt.Sprintf("%020d", number))
	copy(bytes[PageSize-20:], fmt.Sprintf("%020d", number))
	for i := range extra {
		extra[i] = 1
	}
}

func (c *testCache) unpin(number uint32, discard bool) {
	flag := int32(0)
	if discard {
		flag = 1
		delete(c.held, number)
	}
	cacheUnpin(c.tls, c.p, pageOf(c, number), flag)
	delete(c.used, number)
}

func pageOf(c *testCache, number uint32) uintptr { return at[pageCache](c.p).find(number) }

func (c *testCache) rekey(from, to uint32) {
	p := pageOf(c, from)
	cacheRekey(c.tls, c.p, p, from, to)
	c.mark(p, to)
	delete(c.held, from)
	delete(c.used, from)
	c.held[to], c.used[to] = p, true
}

func (c *testCache) truncate(from uint32) {
	cacheTruncate(c.tls, c.p, from)
	for number := range c.held {
		if number >= from {
			delete(c.held, number)
			delete(c.used, number)
		}
	}
}

// check compares what the cache holds with what it must hold and what it may hold.
func (c *testCache) check() {
	cache, found, idle, greatest := at[pageCache](c.p), uint32(0), uint32(0), uint32(0)
	for number, p := range c.held {
		switch got := cache.find(number); {
		case got == p && pageAt(p).idle == c.used[number], got != p && c.used[number], got != p && got != 0:
			c.t.Fatalf("page %d is at %x and in use: %v; want %x, %v", number, got, !pageAt(p).idle, p, c.used[number])
		case got == 0:
			delete(c.held, number)
			continue
		}
		found++
		if pageAt(p).idle {
			idle++
		}
		if p != cache.away {
			greatest = max(greatest, number)
		}
	}
	listed := uint32(0)
	for p := cache.oldest; p != 0; p = pageAt(p).newer {
		listed++
	}
	if cache.pages != found || cache.idle != idle || listed != idle || cache.greatest < greatest {
		c.t.Fatalf("%d pages, %d idle, %d in their list, none above %d; there are %d, %d, and %d", cache.pages, cache.idle, listed, cache.greatest, found, idle, greatest)
	}
	if most := max(testPages, len(c.used)); int(cache.pages) > most {
		c.t.Fatalf("%d pages are held, %d in use", cache.pages, len(c.used))
	}
}

// TestPageCache does with a cache what SQLite may do, at random.
func TestPageCache(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := newTestCache(t)
		number := func() uint32 { return 1 + uint32(rng.IntN(200)) }
		used := func() (number uint32, ok bool) {
			if len(c.used) == 0 {
				return 0, false
			}
			numbers := make([]uint32, 0, len(c.used))
			for n := range c.used {
				numbers = append(numbers, n)
			}
			slices.Sort(numbers)
			return numbers[rng.IntN(len(numbers))], true
		}
		for range 5000 {
			n, ok := used()
			switch op := rng.IntN(100); {
			case op < 45:
				c.fetch(number(), int32(rng.IntN(3)))
			case op < 90 && ok:
				c.unpin(n, rng.IntN(5) == 0)
			case op < 97 && ok:
				to := number()
				if rng.IntN(3) == 0 {
					to = 1 << 18
				}
				if !c.used[to] {
					c.rekey(n, to)
				}
			case op == 97:
				c.truncate(number())
			case op == 98:
				cacheShrink(c.tls, c.p)
			case op == 99:
				cacheSetSize(c.tls, c.p, testPages)
			}
			c.check()
		}
		c.truncate(0)
		c.check()
	}
}

// TestPageCache_Bounds has a cache full of pages in use refuse another one, unless it must not.
func TestPageCache_Bounds(t *testing.T) {
	t.Parallel()
	c := newTestCache(t)
	for number := range uint32(testPages) {
		c.fetch(number, 2)
	}
	if cacheFetch(c.tls, c.p, testPages, 1) != 0 {
		t.Error("a full cache has a place that nobody must have")
	}
	c.fetch(testPages, 2)
	for number := range uint32(testPages + 1) {
		c.unpin(number, false)
	}
	c.check()
	// The page that was in no use for longest makes place.
	c.fetch(1000, 1)
	if pageOf(c, 0) != 0 || pageOf(c, 1) != 0 || pageOf(c, 2) == 0 {
		t.Error("another page than the oldest one made place")
	}
}

// TestPageCache_Away gives a page a number behind all others for a moment, as SQLite does when it sorts pages: a commit
// need not look through all pages for it.
func TestPageCache_Away(t *testing.T) {
	t.Parallel()
	c := newTestCache(t)
	for number := uint32(1); number <= 3; number++ {
		c.fetch(number, 2)
	}
	c.rekey(1, 1<<18)
	c.rekey(2, 1)
	c.rekey(1<<18, 2)
	c.check()
	if greatest := at[pageCache](c.p).greatest; greatest != 3 {
		t.Errorf("no page is above %d", greatest)
	}
	c.rekey(2, 1<<18)
	c.truncate(3)
	c.check()
	if pageOf(c, 1<<18) != 0 || pageOf(c, 1) == 0 {
		t.Error("the page that is away stays when all from a number on go, or another one goes")
	}
}
