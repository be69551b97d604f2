package ledger

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// example is the log of two events that docs/ledger.md computes by hand.
func example() []*datastorage.Record {
	records := make([]*datastorage.Record, 2)
	for i := range records {
		e := datastorage.Event{
			ID: uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a805" + fmt.Sprint(i)), Version: "1.0", Type: "gateway.signal.received",
			Time: time.Date(2026, 1, 31, 12, 0, i, 0, time.UTC), Category: "gateway", Action: "received", Outcome: "success", CorrelationID: "rr-1",
			Data: []byte(`{"score":0.250,"signal":"KubePodCrashLooping"}`), ActorType: "service", ActorID: "gateway-service",
			ResourceType: "gateway", ResourceID: "rr-1", Severity: "info", Retention: 2555,
		}
		var salt [datastorage.SaltSize]byte
		for k := range salt {
			salt[k] = byte(16*i + k)
		}
		records[i] = datastorage.NewRecord(e, salt)
	}
	return records
}

// The page on the formats shows what the code computes, and names every fault.
func TestDocument(t *testing.T) {
	raw, err := os.ReadFile("../docs/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	records := example()
	c, head := NewCommit(&Head{}, records, time.Time{})
	first, second := LeafHash(c.Entries[:EntrySize]), LeafHash(c.Entries[EntrySize:])
	for name, want := range map[string]string{
		"body":         string(records[0].Body),
		"salt":         hex.EncodeToString(records[0].Salt[:]),
		"commitment":   hex.EncodeToString(records[0].Commitment[:]),
		"entry":        hex.EncodeToString(c.Entries[:EntrySize]),
		"leaf hash":    hex.EncodeToString(first[:]),
		"other leaf":   hex.EncodeToString(second[:]),
		"root":         hex.EncodeToString(c.Root[:]),
		"receipt":      fmt.Sprintf(`{"log_index":0,"tree_size":2,"root_hash":"%v"}`, c.Root),
		"anchor":       Anchor{TreeSize: head.Size(), Root: c.Root}.String(),
		"empty anchor": Anchor{Root: EmptyRoot}.String(),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks the %s %s", name, want)
		}
	}
	for _, kind := range []FaultKind{
		AlteredBody, MalformedBody, AlteredColumn, MissingRow, RowWithoutEntry, DuplicateRow, WrongPosition, MissingEventID, AlteredEventID,
		EventIDWithoutEntry, CommitEdited, RootMismatch, CommitGap, AnchorMismatch, AlteredNotification, NotificationWithoutEvent,
	} {
		if !strings.Contains(page, "| "+string(kind)+" ") {
			t.Errorf("the page does not explain %q", kind)
		}
	}
}
