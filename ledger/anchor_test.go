package ledger

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

const hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

func TestParseAnchor(t *testing.T) {
	a, err := ParseAnchor(" 0:" + hash + "\n")
	if err != nil || a.TreeSize != 0 || a.Root != EmptyRoot || a.LogIndex != -1 || a.String() != "0:"+hash {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{"", "7", ":" + hash, "-1:" + hash, "7:", "7:abc", "x:" + hash, "9223372036854775808:" + hash} {
		if _, err := ParseAnchor(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestReadReceipts(t *testing.T) {
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	receipt := `{"log_index":3,"tree_size":5,"root_hash":"` + hash + `"}`
	for name, text := range map[string]string{
		"Bare":   receipt,
		"Answer": `{"event_id":"` + id + `","event_timestamp":"2026-01-01T00:00:00.000000Z","message":"…","receipt":` + receipt + `,"duplicate":true}`,
		"Batch":  `{"event_ids":["` + id + `"],"message":"…","receipts":[` + receipt + `]}`,
		"Lines":  `{"status":"accepted","event_id":"` + id + "\"}\n" + receipt + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			anchors, err := ReadReceipts(strings.NewReader(text), "kept.json")
			if err != nil || len(anchors) != 1 {
				t.Fatalf("%v, %v", anchors, err)
			}
			a := anchors[0]
			if a.LogIndex != 3 || a.TreeSize != 5 || a.Root != EmptyRoot || !strings.HasPrefix(a.Source, "kept.json") {
				t.Errorf("%+v", a)
			}
			if known := name == "Answer" || name == "Batch"; known != (a.EventID == uuid.MustParse(id)) {
				t.Errorf("event %v", a.EventID)
			}
		})
	}
	for name, text := range map[string]string{
		"Empty":         "",
		"OnlyAccepted":  `{"status":"accepted"}`,
		"NotJSON":       "receipt",
		"Array":         "[" + receipt + "]",
		"NoRoot":        `{"log_index":3,"tree_size":5}`,
		"BadRoot":       `{"log_index":3,"tree_size":5,"root_hash":"x"}`,
		"IndexTooLarge": `{"log_index":5,"tree_size":5,"root_hash":"` + hash + `"}`,
		"Negative":      `{"log_index":-1,"tree_size":5,"root_hash":"` + hash + `"}`,
		"Counts":        `{"event_ids":[],"receipts":[` + receipt + `]}`,
		"BadInBatch":    `{"event_ids":["` + id + `"],"receipts":[{}]}`,
		"Cut":           receipt[:20],
	} {
		if anchors, err := ReadReceipts(strings.NewReader(text), "kept.json"); err == nil || !strings.Contains(err.Error(), "kept.json") {
			t.Errorf("%s: %v, %v", name, anchors, err)
		}
	}
}
