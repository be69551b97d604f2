package sqlitedb

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite's own page cache is one for the whole process, behind a lock that every access to a page takes; each of its pages
// takes as much memory as two; and when it moves pages it looks through all of them at the next commit. Below is one for
// each connection, which one goroutine at a time uses: a hash table of pages by number, those in no use in a list by age. It
// lies in memory that the garbage collector does not know.

// usePageCache makes SQLite use the page cache of this package. It must come before the first connection; where SQLite is in
// use already its own page cache stays.
var usePageCache = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	// SQLite keeps its copy. What initializes its own cache also initializes other memory of it.
	methods := pageCacheMethods(tls)
	if methods == 0 {
		return
	}
	defer libc.Xfree(tls, methods)
	m := at[sqlite3.Tsqlite3_pcache_methods2](methods)
	m.FxCreate = pointer(cacheCreate)
	m.FxCachesize = pointer(cacheSetSize)
	m.FxPagecount = pointer(cachePages)
	m.FxFetch = pointer(cacheFetch)
	m.FxUnpin = pointer(cacheUnpin)
	m.FxRekey = pointer(cacheRekey)
	m.FxTruncate = pointer(cacheTruncate)
	m.FxDestroy = pointer(cacheDestroy)
	m.FxShrink = pointer(cacheShrink)
	_ = configure(tls, sqlite3.SQLITE_CONFIG_PCACHE2, methods)
})

// pageCacheMethods returns a copy of the methods of the page cache in use, to be freed; 0 when there is no memory.
func pageCacheMethods(tls *libc.TLS) uintptr {
	p := libc.Xcalloc(tls, 1, types.Size_t(unsafe.Sizeof(sqlite3.Tsqlite3_pcache_methods2{})))
	if p != 0 && configure(tls, sqlite3.SQLITE_CONFIG_GETPCACHE2, p) != sqlite3.SQLITE_OK {
		libc.Xfree(tls, p)
		return 0
	}
	return p
}

func configure(tls *libc.TLS, option int32, value uintptr) int32 {
	const word = int(unsafe.Sizeof(uint64(0)))
	list := tls.Alloc(word)
	defer tls.Free(word)
	return sqlite3.Xsqlite3_config(tls, option, libc.VaList(list, value))
}

const (
	// slabPages is how many pages are allocated at once.
	slabPages = 8
	// leastSlots is the size of the hash table of a new cache, a power of 2.
	leastSlots = 64
)

// pageCache is the cache of one database of one connection.
type pageCache struct {
	pageSize, extraSize uintptr
	// max is how many pages it should hold. purgeable says that pages in no use may be dropped: they can be read again.
	max       uint32
	purgeable bool
	// pages is how many pages it holds, idle how many of them are in no use.
	pages, idle uint32
	// table has the pages by their number modulo its size, a power of 2.
	table uintptr
	slots uint32
	// No page but away has a number above greatest. SQLite gives pages that it sorts a number far behind all others for a
	// moment; away is such a page, or 0.
	greatest uint32
	away     uintptr
	// oldest and newest are the ends of the list of idle pages, free pages that hold nothing, slabs all memory of pages.
	oldest, newest uintptr
	free, slabs    uintptr
}

// cachePage is a page of a cache.
type cachePage struct {
	sqlite3.Tsqlite3_pcache_page // what SQLite sees of it
	number                       uint32
	idle                         bool
	next                         uintptr // in the table, or among the free ones
	older, newer                 uintptr // in the list of idle pages
}

func pageAt(p uintptr) *cachePage { return at[cachePage](p) }

func cacheCreate(tls *libc.TLS, pageSize, extraSize, purgeable int32) uintptr {
	p := libc.Xcalloc(tls, 1, types.Size_t(unsafe.Sizeof(pageCache{})))
	if p == 0 {
		return 0
	}
	c := at[pageCache](p)
	c.pageSize, c.extraSize, c.purgeable = uintptr(pageSize), uintptr(extraSize), purgeable != 0
	c.slots = leastSlots
	if c.table = newTable(tls, c.slots); c.table == 0 {
		libc.Xfree(tls, p)
		return 0
	}
	return p
}

func newTable(tls *libc.TLS, slots uint32) uintptr {
	return libc.Xcalloc(tls, types.Size_t(slots), types.Size_t(unsafe.Sizeof(uintptr(0))))
}

func cacheDestroy(tls *libc.TLS, cache uintptr) {
	c := at[pageCache](cache)
	for c.slabs != 0 {
		next := *at[uintptr](c.slabs)
		libc.Xfree(tls, c.slabs)
		c.slabs = next
	}
	libc.Xfree(tls, c.table)
	libc.Xfree(tls, cache)
}

func cacheSetSize(_ *libc.TLS, cache uintptr, n int32) {
	c := at[pageCache](cache)
	c.max = uint32(max(n, 0))
	if c.purgeable {
		c.dropIdle(c.max)
	}
}

func cacheShrink(_ *libc.TLS, cache uintptr) {
	c := at[pageCache](cache)
	if c.purgeable {
		c.dropIdle(0)
	}
}

func cachePages(_ *libc.TLS, cache uintptr) int32 { return int32(at[pageCache](cache).pages) }

// cacheFetch returns the page of a number, which is in use from then on. When the cache does not hold it, it gets a place
// unless create is 0, or 1 and nearly all of the cache is in use.
func cacheFetch(tls *libc.TLS, cache uintptr, number uint32, create int32) uintptr {
	c := at[pageCache](cache)
	if p := c.find(number); p != 0 {
		if pageAt(p).idle {
			c.unlist(p)
		}
		return p
	}
	if create == 0 || create == 1 && uint64(c.pages-c.idle)*10 >= uint64(c.max)*9 {
		return 0
	}
	if c.pages >= c.slots {
		c.grow(tls)
	}
	if c.purgeable && c.oldest != 0 && c.pages+1 >= c.max {
		c.drop(c.oldest)
	}
	p := c.place(tls)
	if p == 0 {
		return 0
	}
	page := pageAt(p)
	page.number = number
	c.insert(p)
	c.pages++
	c.greatest = max(c.greatest, number)
	// SQLite knows a new page by this.
	*at[uintptr](page.FpExtra) = 0
	return p
}

func cacheUnpin(_ *libc.TLS, cache, p uintptr, discard int32) {
	c := at[pageCache](cache)
	if discard != 0 || c.pages > c.max {
		c.drop(p)
		return
	}
	page := pageAt(p)
	page.idle, page.older, page.newer = true, c.newest, 0
	if c.newest != 0 {
		pageAt(c.newest).newer = p
	} else {
		c.oldest = p
	}
	c.newest = p
	c.idle++
}

func cacheRekey(_ *libc.TLS, cache, p uintptr, _, number uint32) {
	c := at[pageCache](cache)
	if other := c.find(number); other != 0 && other != p {
		c.drop(other)
	}
	c.remove(p)
	pageAt(p).number = number
	c.insert(p)
	switch {
	case number <= c.greatest:
	case c.away == 0:
		c.away = p
	default:
		c.greatest = number
	}
}

// cacheTruncate drops all pages from a number on, in use or not.
func cacheTruncate(_ *libc.TLS, cache uintptr, from uint32) {
	c := at[pageCache](cache)
	if c.away != 0 && pageAt(c.away).number >= from {
		c.drop(c.away)
	}
	if from > c.greatest {
		return
	}
	first, slots := from, c.greatest-from
	if slots >= c.slots {
		first, slots = 0, c.slots-1
	}
	for i := range slots + 1 {
		for p := *c.slot(first + i); p != 0; {
			next := pageAt(p).next
			if pageAt(p).number >= from {
				c.drop(p)
			}
			p = next
		}
	}
	c.greatest = max(from, 1) - 1
}

// slot is where the table has the pages of a number.
func (c *pageCache) slot(number uint32) *uintptr {
	return at[uintptr](c.table + uintptr(number&(c.slots-1))*unsafe.Sizeof(uintptr(0)))
}

func (c *pageCache) find(number uint32) uintptr {
	p := *c.slot(number)
	for p != 0 && pageAt(p).number != number {
		p = pageAt(p).next
	}
	return p
}

func (c *pageCache) insert(p uintptr) {
	slot := c.slot(pageAt(p).number)
	pageAt(p).next = *slot
	*slot = p
}

// remove takes a page out of the table.
func (c *pageCache) remove(p uintptr) {
	slot := c.slot(pageAt(p).number)
	for *slot != p {
		slot = &pageAt(*slot).next
	}
	*slot = pageAt(p).next
	if c.away == p {
		c.away = 0
	}
}

// grow doubles the table, as far as there is memory.
func (c *pageCache) grow(tls *libc.TLS) {
	old, slots := c.table, c.slots
	table := newTable(tls, 2*slots)
	if table == 0 {
		return
	}
	c.table, c.slots = table, 2*slots
	for i := range uintptr(slots) {
		for p := *at[uintptr](old + i*unsafe.Sizeof(old)); p != 0; {
			next := pageAt(p).next
			c.insert(p)
			p = next
		}
	}
	libc.Xfree(tls, old)
}

// unlist takes a page out of the list of idle ones.
func (c *pageCache) unlist(p uintptr) {
	page := pageAt(p)
	if page.older != 0 {
		pageAt(page.older).newer = page.newer
	} else {
		c.oldest = page.newer
	}
	if page.newer != 0 {
		pageAt(page.newer).older = page.older
	} else {
		c.newest = page.older
	}
	page.idle = false
	c.idle--
}

// drop makes the place of a page free.
func (c *pageCache) drop(p uintptr) {
	c.remove(p)
	if pageAt(p).idle {
		c.unlist(p)
	}
	pageAt(p).next = c.free
	c.free = p
	c.pages--
}

// dropIdle drops idle pages, the oldest first, until the cache holds most pages.
func (c *pageCache) dropIdle(most uint32) {
	for c.pages > most && c.oldest != 0 {
		c.drop(c.oldest)
	}
}

// place takes a place for a page, 0 when there is no memory.
func (c *pageCache) place(tls *libc.TLS) uintptr {
	if c.free == 0 {
		c.addSlab(tls)
	}
	p := c.free
	if p != 0 {
		c.free = pageAt(p).next
	}
	return p
}

// addSlab allocates places. Behind the bytes of each page lie what the cache knows of it and what SQLite does.
func (c *pageCache) addSlab(tls *libc.TLS) {
	const head, header = unsafe.Sizeof(uint64(0)), unsafe.Sizeof(cachePage{})
	stride := (c.pageSize + header + c.extraSize + 7) &^ 7
	slab := libc.Xmalloc(tls, types.Size_t(head+slabPages*stride))
	if slab == 0 {
		return
	}
	*at[uintptr](slab) = c.slabs
	c.slabs = slab
	for i := range uintptr(slabPages) {
		bytes := slab + head + i*stride
		p := bytes + c.pageSize
		*pageAt(p) = cachePage{next: c.free}
		pageAt(p).FpBuf, pageAt(p).FpExtra = bytes, p+header
		c.free = p
	}
}
