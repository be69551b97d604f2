package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
)

// faulty is a store and its write path that can be made to fail.
type faulty struct {
	catalog.Store
	writer catalog.Writer

	mu sync.Mutex
	// before runs ahead of a write; its error is returned and nothing is stored. after runs behind one that succeeded; its
	// error is returned although everything is stored. read runs ahead of every read.
	before, after func([]*datastorage.CatalogChange) error
	read          func() error
}

func (f *faulty) set(before, after func([]*datastorage.CatalogChange) error, read func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after, f.read = before, after, read
}

func (f *faulty) hooks() (before, after func([]*datastorage.CatalogChange) error, read func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.before, f.after, f.read
}

func (f *faulty) WriteChanges(ctx context.Context, events []datastorage.Event, changes []*datastorage.CatalogChange) error {
	before, after, _ := f.hooks()
	if before != nil {
		if err := before(changes); err != nil {
			return err
		}
	}
	err := f.writer.WriteChanges(ctx, events, changes)
	if err == nil && after != nil {
		err = after(changes)
	}
	return err
}

func (f *faulty) CatalogVersion(ctx context.Context) (int64, error) {
	if _, _, read := f.hooks(); read != nil {
		if err := read(); err != nil {
			return 0, err
		}
	}
	return f.Store.CatalogVersion(ctx)
}

func (f *faulty) Changes(ctx context.Context, after int64, limit int) ([]*datastorage.CatalogChange, error) {
	if _, _, read := f.hooks(); read != nil {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return f.Store.Changes(ctx, after, limit)
}

// startFaulty starts a catalogue on a store that can be made to fail.
func startFaulty(t *testing.T, opts catalog.Options) (*catalog.Keeper, *faulty) {
	t.Helper()
	s := openSQLite(t, t.TempDir())
	f := &faulty{Store: s, writer: newWriter(t, s)}
	return newKeeper(t, f, f, opts), f
}

var errOutage = datastorage.Unavailable(errors.New("outage"), "the store cannot be reached")

func outage([]*datastorage.CatalogChange) error { return errOutage }

func noRead() error { return errOutage }

func TestKeeper_FailedAndNotStored(t *testing.T) {
	t.Parallel()
	k, f := startFaulty(t, options())
	f.set(outage, nil, nil)
	_, err := k.Create(t.Context(), workflow("w", "1.0.0"), catalog.Actor{})
	checkCode(t, "an outage", err, datastorage.CodeUnavailable)
	checkVersions(t, k, f, 0)
	f.set(nil, nil, nil)
	create(t, k, workflow("w", "1.0.0"))
	checkVersions(t, k, f, 1)
}

// What was stored although the write failed is acknowledged when the store says so.
func TestKeeper_FailedButStored(t *testing.T) {
	t.Parallel()
	k, f := startFaulty(t, options())
	f.set(nil, outage, nil)
	w := create(t, k, workflow("w", "1.0.0"))
	checkVersions(t, k, f, 1)
	if _, ok := k.Snapshot().Get(w.ID); !ok {
		t.Error("it is not in the catalogue")
	}
}

// While the store cannot say whether a change was stored its outcome is unknown; the next change looks first.
func TestKeeper_UnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored=%v", stored), func(t *testing.T) {
			t.Parallel()
			opts := options()
			opts.PollInterval = time.Hour
			k, f := startFaulty(t, opts)
			if stored {
				f.set(nil, outage, noRead)
			} else {
				f.set(outage, nil, noRead)
			}
			_, err := k.Create(t.Context(), workflow("w", "1.0.0"), catalog.Actor{})
			checkCode(t, "an outage", err, datastorage.CodeUnavailable)
			if err == nil || !strings.Contains(err.Error(), "look whether it was stored") {
				t.Errorf("error %v does not say that the outcome is unknown", err)
			}
			_, err = k.Create(t.Context(), workflow("x", "1.0.0"), catalog.Actor{})
			checkCode(t, "a second create during it", err, datastorage.CodeUnavailable)
			f.set(nil, nil, nil)
			_, err = k.Create(t.Context(), workflow("w", "1.0.0"), catalog.Actor{})
			if stored {
				checkCode(t, "the same again", err, datastorage.CodeConflict)
			} else if err != nil {
				t.Errorf("the same again: %v", err)
			}
			checkVersions(t, k, f, 1)
		})
	}
}

// Another server that was first in a commit whose outcome is unknown is noticed.
func TestKeeper_UnknownOutcome_OtherFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openSQLite(t, dir)
	f := &faulty{Store: s, writer: newWriter(t, s)}
	opts := options()
	opts.PollInterval = time.Hour
	k, other := newKeeper(t, f, f, opts), start(t, openSQLite(t, dir))
	var once sync.Once
	f.set(func([]*datastorage.CatalogChange) (err error) {
		once.Do(func() {
			create(t, other, workflow("other", "1.0.0"))
			err = errOutage
		})
		return err
	}, nil, nil)
	create(t, k, workflow("w", "1.0.0"))
	checkVersions(t, k, s, 2)
}

// Every fault on either side, at once and with another server: what is acknowledged is stored, once.
func TestKeeper_FaultsOnBothSides(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keepers := make([]*catalog.Keeper, 2)
	for i := range keepers {
		s := openSQLite(t, dir)
		f := &faulty{Store: s, writer: newWriter(t, s)}
		keepers[i] = newKeeper(t, f, f, options())
		var mu sync.Mutex
		n := i
		every := func(m int) bool {
			mu.Lock()
			defer mu.Unlock()
			n++
			return n%m == 0
		}
		fail := func(m int) func([]*datastorage.CatalogChange) error {
			return func([]*datastorage.CatalogChange) error {
				if every(m) {
					return errOutage
				}
				return nil
			}
		}
		f.set(fail(3), fail(4), func() error {
			if every(7) {
				return errOutage
			}
			return nil
		})
	}
	var wg sync.WaitGroup
	acked := make([]*datastorage.Workflow, 40)
	for i := range acked {
		wg.Go(func() {
			for {
				w, err := keepers[i%2].Create(t.Context(), workflow(fmt.Sprintf("w-%d", i), "1.0.0"), catalog.Actor{})
				switch datastorage.CodeOf(err) {
				case datastorage.CodeUnavailable:
					continue
				case datastorage.CodeConflict: // stored by an attempt whose outcome was unknown
				default:
					if err != nil {
						t.Error(err)
					}
				}
				acked[i] = w
				return
			}
		})
	}
	wg.Wait()
	for _, k := range keepers {
		eventually(t, "both see every change", func() bool { return k.Snapshot().Version() == int64(len(acked)) })
		for i, w := range acked {
			versions := k.Snapshot().Versions(fmt.Sprintf("w-%d", i))
			if len(versions) != 1 || w != nil && versions[0].Workflow.ID != w.ID {
				t.Errorf("w-%d is there %d times", i, len(versions))
			}
		}
	}
}

// A change that the store refuses does not take the others of its transaction with it.
func TestKeeper_RefusedAlone(t *testing.T) {
	t.Parallel()
	k, f := startFaulty(t, options())
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	largest := 0
	f.set(func(changes []*datastorage.CatalogChange) error {
		once.Do(func() { close(entered); <-release })
		largest = max(largest, len(changes))
		for _, c := range changes {
			if strings.Contains(string(c.Document), "poison") {
				return errors.New("this content cannot be stored")
			}
		}
		return nil
	}, nil, nil)
	var wg sync.WaitGroup
	wg.Go(func() { create(t, k, workflow("first", "1.0.0")) })
	<-entered
	for i := range 10 {
		wg.Go(func() {
			name := fmt.Sprintf("w-%d", i)
			if i == 4 {
				name = "poison"
			}
			_, err := k.Create(t.Context(), workflow(name, "1.0.0"), catalog.Actor{})
			if (err != nil) != (i == 4) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return catalog.Waiting(k) == 10 })
	close(release)
	wg.Wait()
	if largest != 10 {
		t.Errorf("the largest transaction held %d changes, want those of all 10 who waited", largest)
	}
	checkVersions(t, k, f, 10)
}

// A store that hangs costs a change its time and no more; one that waits behind it is taken back.
func TestKeeper_HangingStore(t *testing.T) {
	t.Parallel()
	opts := options()
	opts.Timeout = 50 * time.Millisecond
	k, f := startFaulty(t, opts)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.set(func([]*datastorage.CatalogChange) error {
		once.Do(func() { close(entered); <-release })
		return nil
	}, nil, nil)
	first := make(chan error, 1)
	go func() {
		_, err := k.Create(t.Context(), workflow("first", "1.0.0"), catalog.Actor{})
		first <- err
	}()
	<-entered
	_, err := k.Create(t.Context(), workflow("behind", "1.0.0"), catalog.Actor{})
	checkCode(t, "the change behind it", err, datastorage.CodeUnavailable)
	if err == nil || !strings.Contains(err.Error(), "nothing was stored") {
		t.Errorf("the change behind it: %v", err)
	}
	if err := <-first; err == nil || !strings.Contains(err.Error(), "look whether it was stored") {
		t.Errorf("the change under way: %v", err)
	}
	close(release)
	eventually(t, "the change under way is stored", func() bool { return k.Snapshot().Version() == 1 })
}

// While the store is away the catalogue is served as it was, and the log says so once.
func TestKeeper_StoreAway(t *testing.T) {
	t.Parallel()
	var log lines
	opts := options()
	registry := prometheus.NewRegistry()
	opts.Log, opts.Metrics = slog.New(slog.NewTextHandler(&log, nil)), catalog.NewMetrics(registry)
	k, f := startFaulty(t, opts)
	w := create(t, k, workflow("w", "1.0.0"))
	f.set(nil, nil, noRead)
	eventually(t, "the age of the catalogue grows", func() bool { return gather(t, registry)["datastorage_catalog_age_seconds"] > 0.1 })
	if _, ok := k.Snapshot().Get(w.ID); !ok {
		t.Error("the catalogue is gone")
	}
	f.set(nil, nil, nil)
	eventually(t, "the store is followed again", func() bool { return gather(t, registry)["datastorage_catalog_age_seconds"] < 0.1 })
	eventually(t, "the log says so", func() bool { return log.count("follows the store again") == 1 })
	if log.count("cannot be read") != 1 {
		t.Errorf("the log: %s", log.String())
	}
}

// lines is a log for several goroutines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) count(s string) int { return strings.Count(l.String(), s) }

// A store that lost changes decides what the catalogue is.
func TestKeeper_StoreLostChanges(t *testing.T) {
	t.Parallel()
	dir, earlier := t.TempDir(), t.TempDir()
	s, behind := openSQLite(t, dir), openSQLite(t, earlier)
	swapped := &swappable{Store: s}
	opts := options()
	k := newKeeper(t, swapped, newWriter(t, s), opts)
	create(t, k, workflow("a", "1.0.0"))
	create(t, k, workflow("b", "1.0.0"))
	other := start(t, behind)
	kept := create(t, other, workflow("a", "1.0.0"))
	swapped.swap(behind)
	eventually(t, "the catalogue is that of the store", func() bool { return k.Snapshot().Version() == 1 })
	if _, ok := k.Snapshot().Get(kept.ID); !ok {
		t.Error("it lacks what the store holds")
	}
	// One that went on differently, too.
	more := create(t, other, workflow("c", "1.0.0"))
	eventually(t, "it follows", func() bool { _, ok := k.Snapshot().Get(more.ID); return ok })
	swapped.swap(s)
	create(t, start(t, s), workflow("d", "1.0.0"))
	eventually(t, "it is read anew", func() bool { _, ok := k.Snapshot().Latest("d"); return ok })
	if _, ok := k.Snapshot().Latest("c"); ok || k.Snapshot().Version() != 3 {
		t.Error("it holds what the store does not")
	}
}

// swappable is a store that is replaced by another.
type swappable struct {
	catalog.Store
	mu sync.Mutex
}

func (s *swappable) swap(other catalog.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Store = other
}

func (s *swappable) CatalogVersion(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.CatalogVersion(ctx)
}

func (s *swappable) Changes(ctx context.Context, after int64, limit int) ([]*datastorage.CatalogChange, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.Changes(ctx, after, limit)
}

// A history that makes no catalogue is refused at start, and the error says where.
func TestNewKeeper_Damaged(t *testing.T) {
	t.Parallel()
	s := openSQLite(t, t.TempDir())
	create(t, start(t, s), workflow("w", "1.0.0"))
	for name, document := range map[string]string{"no JSON": `{`, "no workflow": `{}`} {
		damaged := &edited{Store: s, document: document}
		_, err := catalog.NewKeeper(t.Context(), damaged, newWriter(t, s), options())
		if err == nil || !strings.Contains(err.Error(), "change 1 of the catalogue") {
			t.Errorf("%s: %v", name, err)
		}
	}
	away := &faulty{Store: s, read: noRead}
	_, err := catalog.NewKeeper(t.Context(), away, newWriter(t, s), options())
	checkCode(t, "a store that is away", err, datastorage.CodeUnavailable)
}

// edited is a store whose documents were changed.
type edited struct {
	catalog.Store
	document string
}

func (e *edited) Changes(ctx context.Context, after int64, limit int) ([]*datastorage.CatalogChange, error) {
	changes, err := e.Store.Changes(ctx, after, limit)
	for _, c := range changes {
		c.Document = []byte(e.document)
	}
	return changes, err
}
