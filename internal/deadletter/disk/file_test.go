package disk

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/deadletter"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

var update = flag.Bool("update", false, "write the fixture of the queue's format anew")

// fixture is a queue of format 1 as an earlier program left it: it must be readable for ever.
const fixture = "testdata/format-1.db"

// fixtureMessages are what the fixture holds; the second and the third are letters.
func fixtureMessages(t *testing.T) []*deadletter.Message {
	t.Helper()
	list := make([]*deadletter.Message, 4)
	for i := range list {
		at := time.Date(2026, 1, 2, 3, 4, 5+i, 678901000, time.UTC)
		e := datastorage.Event{
			ID: uuid.NewSHA1(datastorage.Namespace, []byte{byte(i)}), Version: "1.0", Type: "gateway.signal.received", Category: "gateway",
			Action: "test", Time: at, Outcome: "success", CorrelationID: fmt.Sprintf("rr-ü-%d", i%2), Data: []byte(`{"n":1.50}`),
			ActorType: "service", ActorID: "gateway", ResourceType: "Signal", ResourceID: "s-1", Severity: "info", Retention: 2555,
			Sent: datastorage.FieldSet(datastorage.FieldID | datastorage.FieldData),
		}
		r := datastorage.NewRecord(e, [datastorage.SaltSize]byte{0, 1, 2, byte(i), 255})
		list[i] = &deadletter.Message{
			ID: fmt.Sprintf("%020d", i+1), EventID: r.ID, CorrelationID: r.CorrelationID, Body: r.Body, Salt: r.Salt, Sent: e.Sent,
			QueuedAt: at.Add(time.Second), Cause: "the store cannot be reached",
		}
	}
	at := list[2].QueuedAt
	list[2].Notification = &datastorage.Notification{
		RemediationID: "rr-1", NotificationID: "n-1", Recipient: "a@example.org", Channel: "email", MessageSummary: "日本 <&>",
		Status: "failed", SentAt: at, DeliveryStatus: "550", ErrorMessage: "refused", EscalationLevel: 3, CreatedAt: at, UpdatedAt: at,
		EventID: list[2].EventID,
	}
	list[3].Notification = &datastorage.Notification{NotificationID: "n-2", SentAt: at, CreatedAt: at, UpdatedAt: at}
	return list
}

// TestFormat reads a file of format 1 that an earlier program wrote.
func TestFormat(t *testing.T) {
	t.Parallel()
	want := fixtureMessages(t)
	if *update {
		writeFixture(t, want)
	}
	content, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	q := openTest(t, dir, crashOptions)
	got, err := q.Oldest(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*deadletter.Message{want[0], want[3]}, got); diff != "" {
		t.Errorf("what waits differs (-want +got):\n%s", diff)
	}
	letters, err := q.Letters(t.Context(), "", 10)
	if err != nil || len(letters) != 2 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	for i, l := range letters {
		if diff := cmp.Diff(*want[1+i], l.Message); diff != "" {
			t.Errorf("letter %d differs (-want +got):\n%s", i, diff)
		}
		if l.Reason != fmt.Sprintf("reason %d", i) || l.QuarantinedAt.Year() < 2026 {
			t.Errorf("letter %d was set aside at %v for %q", i, l.QuarantinedAt, l.Reason)
		}
	}
	// The fifth message was removed; its number is not used again.
	next := testMessage("c", 10)
	if err := q.Put(t.Context(), []*deadletter.Message{next}); err != nil || next.ID != "00000000000000000006" {
		t.Errorf("the next id is %q, %v", next.ID, err)
	}
}

func writeFixture(t *testing.T, list []*deadletter.Message) {
	t.Helper()
	dir := t.TempDir()
	q := openTest(t, dir, crashOptions)
	fifth := testMessage("c", 10)
	if err := q.Put(t.Context(), append(slices.Clone(list), fifth)); err != nil {
		t.Fatal(err)
	}
	for i, m := range list[1:3] {
		if err := q.Quarantine(t.Context(), m.ID, fmt.Sprintf("reason %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(q.Remove(t.Context(), []string{fifth.ID}), q.Close()); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(fixture, content, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// TestFormat_Page holds docs/dead-letters.md to the schema.
func TestFormat_Page(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/dead-letters.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range schema[:3] {
		if !strings.Contains(string(page), statement) {
			t.Errorf("docs/dead-letters.md does not hold\n%s", statement)
		}
	}
}

// filled returns the files of a queue that holds messages and was closed, by name.
func filled(t *testing.T) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	q := openTest(t, dir, crashOptions)
	for range 5 {
		list := make([]*deadletter.Message, 40)
		for i := range list {
			list[i] = testMessage("c", 500)
		}
		if err := q.Put(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	return files(t, dir)
}

// files returns the content of a queue's files, but for the lock.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{FileName, FileName + "-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all[name] = content
	}
	return all
}

// TestOpen_Damaged: a file that cannot be a queue is left as it is, and the error says what to do.
func TestOpen_Damaged(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(b []byte) []byte{
		"garbage":      func([]byte) []byte { return bytes.Repeat([]byte("garbage "), 4096) },
		"short":        func(b []byte) []byte { return b[:50] },
		"cut":          func(b []byte) []byte { return b[:len(b)/2] },
		"cut in page":  func(b []byte) []byte { return b[:len(b)-1000] },
		"header":       func(b []byte) []byte { copy(b, "SQLite format 9"); return b },
		"schema":       func(b []byte) []byte { copy(b[100:], make([]byte, 1000)); return b },
		"page of zero": func(b []byte) []byte { clear(b[len(b)/2/4096*4096:][:4096]); return b },
		"other file": func(b []byte) []byte {
			copy(b[68:], []byte{0, 0, 0, 1}) // the application id of the header
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			content := damage(filled(t)[FileName])
			if err := os.WriteFile(filepath.Join(dir, FileName), content, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				q, err := Open(t.Context(), dir, crashOptions)
				if err == nil {
					_ = q.Close()
					t.Fatal("the queue opens")
				}
				for _, words := range []string{filepath.Join(dir, FileName), "nothing was deleted", "move it and the files beside it"} {
					if !strings.Contains(err.Error(), words) {
						t.Errorf("the error does not say %q: %v", words, err)
					}
				}
			}
			if got := files(t, dir)[FileName]; !bytes.Equal(got, content) {
				t.Error("the file was changed")
			}
			// As the error says.
			if err := os.Rename(filepath.Join(dir, FileName), filepath.Join(dir, "kept")); err != nil {
				t.Fatal(err)
			}
			openTest(t, dir, crashOptions)
		})
	}
}

func TestOpen_NewerFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := openTest(t, dir, crashOptions)
	err := q.writer.Use(t.Context(), func(c *sqlitedb.Conn) error {
		return c.Query(t.Context(), `PRAGMA user_version = 2`, nil, func([]driver.Value) error { return nil })
	})
	if err := errors.Join(err, q.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, crashOptions); err == nil || !strings.Contains(err.Error(), "use a newer datastorage") {
		t.Errorf("Open of a newer format: %v", err)
	}
}

// TestOpen_TornLog cuts and damages the log at many places, as a crash may: what was synced before that place is there.
func TestOpen_TornLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := openTest(t, dir, Options{MaxBytes: 64 << 20})
	type moment struct {
		log  int64
		last uuid.UUID
	}
	var moments []moment
	for range 20 {
		m := testMessage("c", 2000)
		if err := q.Put(t.Context(), []*deadletter.Message{m}); err != nil {
			t.Fatal(err)
		}
		moments = append(moments, moment{size(q.path + "-wal"), m.EventID})
	}
	before := files(t, dir)
	for i, at := range moments {
		for name, log := range map[string][]byte{
			"cut":     before[FileName+"-wal"][:at.log],
			"torn":    before[FileName+"-wal"][:min(at.log+3000, int64(len(before[FileName+"-wal"])))],
			"garbage": append(slices.Clone(before[FileName+"-wal"][:at.log]), bytes.Repeat([]byte{0xa5}, 5000)...),
		} {
			copied := maps.Clone(before)
			copied[FileName+"-wal"] = log
			after := t.TempDir()
			for file, content := range copied {
				if err := os.WriteFile(filepath.Join(after, file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			q := openTest(t, after, Options{MaxBytes: 64 << 20})
			list, err := q.Oldest(t.Context(), 100)
			if err != nil || len(list) != i+1 || list[i].EventID != at.last {
				t.Errorf("%s behind message %d: %d wait, %v", name, i, len(list), err)
			}
			_ = q.Close()
		}
	}
}
