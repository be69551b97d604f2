// Package importer reads past events from NDJSON, one event of the API's own format a line, and stores them through the
// commit path. It can be run again at any point: what is stored already changes nothing.
package importer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
)

// MaxLine is the longest line in bytes, the limit that the API has for one event.
const MaxLine = 512 << 10

// Bounds of one commit: it should take at most commitTime, so that a server on the same store is not held up.
const (
	commitTime  = 50 * time.Millisecond
	firstChunk  = 100
	maxChunk    = 1000
	minChunk    = 10
	maxChunkLen = 4 << 20 // bytes of lines
)

// Store is what an import needs beside the commit path.
type Store interface {
	// Find returns the log_index of each of ids that was ever stored.
	Find(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]int64, error)
	// PutSetting stores a value under a name that has none, and returns what is stored under it.
	PutSetting(ctx context.Context, name string, value []byte) ([]byte, error)
}

// Writer is the commit path.
type Writer interface {
	// Write stores events, all or nothing; see ingest.Service.
	Write(ctx context.Context, events []datastorage.Event, indexed bool) ([]ingest.Stored, error)
}

// Options say how to import.
type Options struct {
	// Rules are the limits for events; their time window does not apply.
	Rules datastorage.Rules
	// Rebase moves all events so that the newest one happened at Now. The distance is stored under the file's hash, so
	// that a second run moves them to the same place.
	Rebase bool
	Now    time.Time
	// Check, when set, is called once with each event of the file before any is stored, from one goroutine.
	Check func(*datastorage.Event)
	// Progress, when set, is called after each piece of work, from one goroutine at a time.
	Progress func(Progress)
}

// Progress says how far an import is.
type Progress struct {
	// Checking is true while the file is read for the first time and nothing is stored yet.
	Checking bool
	Bytes    int64 // of the file that were read in this phase
	Events   int64 // that were checked, or stored, or found stored
}

// Result is what an import did.
type Result struct {
	Events     int64         // in the file
	Stored     int64         // that are new
	Duplicates int64         // that were stored before
	Shift      time.Duration // by which the events were moved
	Bytes      int64         // of the file
	LastIndex  int64         // log_index of the last event that was stored; -1 when none was
}

// LineError is the first bad line of a file.
type LineError struct {
	Line int64 // from 1
	Err  error
}

// Error names the line and the reason.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }

// Import stores the events of a file. The whole file is checked first: a bad line is a *LineError, and then nothing was
// stored. Other errors may leave a part stored; running the same import again stores the rest.
func Import(ctx context.Context, file io.ReadSeeker, store Store, writer Writer, opts Options) (Result, error) {
	opts.Rules.Window = false
	if opts.Progress == nil {
		opts.Progress = func(Progress) {}
	}
	im := importer{store: store, writer: writer, opts: opts}
	survey, err := im.check(ctx, file)
	if err != nil {
		return Result{}, err
	}
	im.result = Result{Events: survey.events, Bytes: survey.bytes, LastIndex: -1}
	if opts.Rebase && survey.events > 0 {
		if err := im.findShift(ctx, survey); err != nil {
			return Result{}, err
		}
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Result{}, fmt.Errorf("read the file again: %w", err)
	}
	err = im.storeAll(ctx, file, survey.hash)
	return im.result, err
}

type importer struct {
	store  Store
	writer Writer
	opts   Options
	result Result
}

// survey is what the first reading of a file finds.
type survey struct {
	hash   [sha256.Size]byte
	events int64
	bytes  int64
	newest time.Time
}

// check reads the whole file and decodes every line.
func (im *importer) check(ctx context.Context, file io.Reader) (survey, error) {
	var s survey
	h := sha256.New()
	lines := newLineReader(io.TeeReader(file, h))
	for {
		raw, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s, err
		}
		e, err := im.opts.Rules.Decode(raw, im.opts.Now)
		if err != nil {
			return s, &LineError{lines.line, err}
		}
		if e.Time.After(s.newest) {
			s.newest = e.Time
		}
		if im.opts.Check != nil {
			im.opts.Check(&e)
		}
		s.events++
		if s.events%maxChunk == 0 {
			if ctx.Err() != nil {
				return s, ctx.Err()
			}
			im.opts.Progress(Progress{Checking: true, Bytes: lines.bytes, Events: s.events})
		}
	}
	s.bytes = lines.bytes
	h.Sum(s.hash[:0])
	im.opts.Progress(Progress{Checking: true, Bytes: s.bytes, Events: s.events})
	return s, nil
}

// findShift decides by how much the events move: what an earlier run of the same file decided, else what makes the newest
// one happen now.
func (im *importer) findShift(ctx context.Context, s survey) error {
	shift := im.opts.Now.Sub(s.newest).Truncate(time.Microsecond)
	name := "import-shift:" + hex.EncodeToString(s.hash[:])
	stored, err := im.store.PutSetting(ctx, name, []byte(strconv.FormatInt(shift.Microseconds(), 10)))
	if err != nil {
		return fmt.Errorf("store by how much the events move: %w", err)
	}
	us, err := strconv.ParseInt(string(stored), 10, 64)
	if err != nil {
		return fmt.Errorf("the store holds no number under %s: %w", name, err)
	}
	im.result.Shift = time.Duration(us) * time.Microsecond
	return nil
}

// chunk is what one commit stores.
type chunk struct {
	events []datastorage.Event
	lines  []int64 // the line of each event
	bytes  int64   // of the file up to its end
}

// storeAll reads the file again, which must have the given hash, and stores it chunk by chunk. One chunk is prepared
// while the one before it is stored.
func (im *importer) storeAll(ctx context.Context, file io.Reader, want [sha256.Size]byte) error {
	g, ctx := errgroup.WithContext(ctx)
	chunks := make(chan chunk)
	size := make(chan int, 1)
	size <- firstChunk
	g.Go(func() error {
		defer close(chunks)
		return im.prepare(ctx, file, want, size, chunks)
	})
	g.Go(func() error {
		n := firstChunk
		for c := range chunks {
			began := time.Now()
			if err := im.storeChunk(ctx, &c); err != nil {
				return err
			}
			n = nextSize(n, len(c.events), time.Since(began))
			select {
			case size <- n:
			default:
			}
			im.opts.Progress(Progress{Bytes: c.bytes, Events: im.result.Stored + im.result.Duplicates})
		}
		return nil
	})
	return g.Wait()
}

// nextSize adapts the size of chunks to how long the last one took.
func nextSize(size, events int, took time.Duration) int {
	switch {
	case took > commitTime:
		return max(minChunk, size/2)
	case took < commitTime/2 && events >= size:
		return min(maxChunk, size*3/2)
	}
	return size
}

var errChanged = errors.New("the file changed while it was imported; run the import again")

func (im *importer) prepare(ctx context.Context, file io.Reader, want [sha256.Size]byte, size <-chan int, out chan<- chunk) error {
	h := sha256.New()
	lines := newLineReader(io.TeeReader(file, h))
	ids := lineIDs{}
	n := <-size
	var c chunk
	started := int64(0)
	for done := false; !done; {
		raw, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			done = true
		case err != nil:
			return err
		default:
			e, err := im.opts.Rules.Decode(raw, im.opts.Now)
			if err != nil {
				return errChanged
			}
			if e.ID == uuid.Nil {
				if e.ID, err = ids.next(raw); err != nil {
					return &LineError{lines.line, err}
				}
			}
			e.Time = e.Time.Add(im.result.Shift)
			c.events, c.lines = append(c.events, e), append(c.lines, lines.line)
		}
		full := len(c.events) >= n || lines.bytes-started >= maxChunkLen
		if len(c.events) == 0 || !full && !done {
			continue
		}
		c.bytes, started = lines.bytes, lines.bytes
		select {
		case out <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
		c = chunk{}
		select {
		case n = <-size:
		default:
		}
	}
	if [sha256.Size]byte(h.Sum(nil)) != want {
		return errChanged
	}
	return nil
}

// storeChunk stores the events of a chunk that are not stored yet. An identifier that was derived from a line belongs to
// its content; only those that the file names need a comparison, which the commit path makes.
func (im *importer) storeChunk(ctx context.Context, c *chunk) error {
	derived := make([]uuid.UUID, 0, len(c.events))
	for i := range c.events {
		if !c.events[i].Sent.Has(datastorage.FieldID) {
			derived = append(derived, c.events[i].ID)
		}
	}
	known := map[uuid.UUID]int64{}
	if len(derived) > 0 {
		found, err := im.store.Find(ctx, derived)
		if err != nil {
			return err
		}
		known = found
	}
	var fresh []datastorage.Event
	var lines []int64
	for i := range c.events {
		if _, stored := known[c.events[i].ID]; stored && !c.events[i].Sent.Has(datastorage.FieldID) {
			im.result.Duplicates++
			continue
		}
		fresh, lines = append(fresh, c.events[i]), append(lines, c.lines[i])
	}
	if len(fresh) == 0 {
		return nil
	}
	stored, err := im.writer.Write(ctx, fresh, true)
	if err != nil {
		return im.atLine(err, lines)
	}
	for i := range stored {
		if stored[i].Duplicate {
			im.result.Duplicates++
		} else {
			im.result.Stored++
			im.result.LastIndex = max(im.result.LastIndex, stored[i].Receipt.LogIndex)
		}
	}
	return nil
}

// atLine turns "event at index N:" of the commit path into the line of the file.
func (im *importer) atLine(err error, lines []int64) error {
	var n int
	var e *datastorage.Error
	if errors.As(err, &e) {
		if _, scanErr := fmt.Sscanf(e.Detail, "event at index %d:", &n); scanErr == nil && n < len(lines) {
			prefix := fmt.Sprintf("event at index %d: ", n)
			return &LineError{lines[n], datastorage.Errorf(e.Code, "%s", e.Detail[len(prefix):])}
		}
	}
	return fmt.Errorf("between line %d and line %d: %w", lines[0], lines[len(lines)-1], err)
}

// lineIDs derives identifiers: UUIDv5(Namespace, SHA-256(canonical line) ‖ occurrence), where occurrence is the number
// of equal lines before this one, as 8 bytes, big-endian.
type lineIDs map[[sha256.Size]byte]uint64

func (l lineIDs) next(raw []byte) (uuid.UUID, error) {
	canonical, err := datastorage.Canonical(jsontext.Value(raw))
	if err != nil {
		return uuid.Nil, err
	}
	sum := sha256.Sum256(canonical)
	name := binary.BigEndian.AppendUint64(sum[:], l[sum])
	l[sum]++
	return uuid.NewSHA1(datastorage.Namespace, name), nil
}

// lineReader reads the lines of a file that are not blank.
type lineReader struct {
	scanner *bufio.Scanner
	line    int64 // number of the last line
	bytes   int64 // up to its end
}

func newLineReader(r io.Reader) *lineReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), MaxLine+2)
	l := &lineReader{scanner: s}
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		advance, token, err := bufio.ScanLines(data, atEOF)
		l.bytes += int64(advance)
		return advance, token, err
	})
	return l
}

func (l *lineReader) next() ([]byte, error) {
	for l.scanner.Scan() {
		l.line++
		if line := bytes.TrimSpace(l.scanner.Bytes()); len(line) > 0 {
			return line, nil
		}
	}
	err := l.scanner.Err()
	switch {
	case err == nil:
		return nil, io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return nil, &LineError{l.line + 1, fmt.Errorf("is longer than %d bytes", MaxLine)}
	}
	return nil, fmt.Errorf("read the file: %w", err)
}
