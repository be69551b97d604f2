package httpapi

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestCursorCodec(t *testing.T) {
	codec := cursorCodec{key: []byte("0123456789abcdef0123456789abcdef")}
	moments := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "none") {
			return time.Time{}
		}
		return time.UnixMicro(rapid.Int64Range(-62135596800_000_000+1, 253402300799_999_999).Draw(t, "micros")).UTC()
	})
	rapid.Check(t, func(t *rapid.T) {
		want := cursor{
			size: rapid.Int64Min(0).Draw(t, "size"), since: moments.Draw(t, "since"), until: moments.Draw(t, "until"), time: moments.Draw(t, "time"),
			id: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")), number: rapid.Int64().Draw(t, "number"),
			key: rapid.String().Draw(t, "key"),
		}
		filters := sha256.Sum256(rapid.SliceOf(rapid.Byte()).Draw(t, "filters"))
		text := codec.encode(cursorEvents, filters, want)
		got, err := codec.decode(text, cursorEvents, filters)
		if err != nil || *got != want {
			t.Fatalf("cursor is %+v, %v; want %+v", got, err, want)
		}
		if _, err := codec.decode(text, cursorNotifications, filters); err == nil {
			t.Fatal("another list takes the cursor")
		}
		if _, err := codec.decode(text, cursorEvents, sha256.Sum256(filters[:])); err == nil {
			t.Fatal("other filters take the cursor")
		}
		if _, err := (cursorCodec{key: []byte("another key")}).decode(text, cursorEvents, filters); err == nil {
			t.Fatal("another key takes the cursor")
		}
	})
}

// FuzzCursor checks that nothing but what encode wrote is a cursor.
func FuzzCursor(f *testing.F) {
	codec, filters := cursorCodec{key: []byte("0123456789abcdef0123456789abcdef")}, sha256.Sum256([]byte("filters"))
	f.Add(codec.encode(cursorEvents, filters, cursor{size: 7, time: time.UnixMicro(5).UTC()}))
	f.Add(codec.encode(cursorNotifications, filters, cursor{number: 3}))
	f.Add(codec.encode(cursorCorrelations, filters, cursor{key: "rr-1"}))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		cur, err := codec.decode(text, cursorEvents, filters)
		if err != nil {
			return
		}
		if again := codec.encode(cursorEvents, filters, *cur); again != text {
			t.Fatalf("%q is taken for %q", text, again)
		}
	})
}

func TestKinds(t *testing.T) {
	for code, k := range kinds {
		if k.status < 400 || k.status > 599 || k.title == "" {
			t.Errorf("%s is answered with %d %q", code, k.status, k.title)
		}
	}
}

func TestLimiter_Forgets(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(1, 1, func() time.Time { return now })
	client := func(n int) string {
		return uuid.NewSHA1(uuid.Nil, []byte{byte(n), byte(n >> 8), byte(n >> 16)}).String()
	}
	for n := range 2*maxClients + 10 {
		if wait := l.wait(client(n)); wait != 0 {
			t.Fatalf("client %d waits for %v at its first request", n, wait)
		}
		if len(l.clients) > maxClients {
			t.Fatalf("%d clients are remembered", len(l.clients))
		}
	}
	now = now.Add(time.Hour)
	for n := range maxClients {
		l.wait(client(3*maxClients + n))
	}
	if len(l.clients) > maxClients {
		t.Errorf("%d clients are remembered", len(l.clients))
	}
}
