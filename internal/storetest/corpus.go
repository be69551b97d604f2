package storetest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// stored is a record and its place in the log.
type stored struct {
	*datastorage.Record
	index int64
	data  jsontext.Value // event_data
}

// values of the fields of the corpus. They tie often, and hold what SQL, patterns and collations treat specially.
var (
	words = []string{
		"a", "A", "b", "a%", "a_b", `a\b`, "a.b", "a.c", "a'b", `a"b`, "ä", "z", "é", "\u00e9x", "a\u0301", "ß", "ẞ", "ı", "İ",
		"a\uD7FF", "a\uE000", "a\uFFFF", "a\U00010000", "a\U0010FFFF", "\U0010FFFF", "\U0010FFFF\U0010FFFF", " ", "a ", " a",
		"1", "10", "9", "true", "null",
	}
	payloads = []string{
		`{}`, `{"a":1}`, `{"a":1.0}`, `{"a":"1"}`, `{"a":"1.0"}`, `{"a":10}`, `{"a":1e1}`, `{"a":true}`, `{"a":"true"}`,
		`{"a":false}`, `{"a":null}`, `{"a":"null"}`, `{"a":""}`, `{"a":{"b":1}}`, `{"a":{"b":"x"}}`, `{"a":[1,"x"]}`,
		`{"a":[{"b":1}]}`, `{"a":{"0":"x"}}`, `{"a":["x"]}`, `{"b":{"a":1}}`, `{"a":{"a":{"a":"deep"}}}`,
		`{"a":9007199254740993}`, `{"a":123456789012345678901234567890}`, `{"a":-0}`, `{"a":1E5}`, `{"a":0.10}`,
		`{"a":"line\nbreak \"quoted\" back\\slash"}`, `{"a":"\u2028 é 😀"}`, `{"a.b":1}`, `{"a\"b":"x"}`, `{"a\\b":"x"}`,
		`{"é":{"😀":"x"}}`, `{"":"empty"}`, `{"a":{"":{"":1}}}`, `{"c":"x","a":{"c":"y"}}`, `{"event_data":{"a":1}}`,
		`{"$":"x"}`, `{"[0]":"x"}`, `{"\u0001":"x"}`, `{"x":"\"a\":1"}`,
	}
)

const corpusSize = 400

// fillCorpus stores random events in commits of random sizes and returns them.
func fillCorpus(t *testing.T, s Store) []stored {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var all []stored
	for len(all) < corpusSize {
		n := 1 + rng.IntN(40)
		records := make([]*datastorage.Record, n)
		for i := range records {
			var parent uuid.UUID
			if len(all) > 0 && rng.IntN(3) == 0 {
				parent = all[rng.IntN(min(len(all), 5))].ID
			}
			records[i] = build(t, randomEvent(rng, parent))
		}
		first := commit(t, s, records...).FirstIndex
		for i, r := range records {
			all = append(all, stored{Record: r, index: first + int64(i), data: dataOf(t, r)})
		}
	}
	return all
}

func dataOf(t *testing.T, r *datastorage.Record) jsontext.Value {
	e, err := datastorage.ParseBody(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return e.Data
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// maybe leaves half of the values out.
func maybe(rng *rand.Rand, from []string) string {
	if rng.IntN(2) == 0 {
		return ""
	}
	return pick(rng, from)
}

func randomEvent(rng *rand.Rand, parent uuid.UUID) datastorage.Event {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	e := datastorage.Event{
		ID: id, Type: pick(rng, words), Time: base.Add(time.Duration(rng.IntN(6)) * time.Microsecond),
		Category: pick(rng, datastorage.Categories), Outcome: pick(rng, datastorage.Outcomes),
		CorrelationID: pick(rng, words[:12]), Data: []byte(pick(rng, payloads)), Severity: maybe(rng, words[:4]),
		ActorType: maybe(rng, words[:4]), ActorID: maybe(rng, words), ResourceType: maybe(rng, words[:4]),
		ResourceID: maybe(rng, words), Namespace: maybe(rng, words[:6]), ClusterName: maybe(rng, words[:6]), ParentID: parent,
	}
	if rng.IntN(2) == 0 {
		e.TraceID = strings.Repeat(pick(rng, []string{"0", "a", "f"}), 32)
	}
	return e
}

// evaluate answers a query without its paging: all matches, in order.
func evaluate(all []stored, q *datastorage.EventQuery) []stored {
	var found []stored
	for _, e := range all {
		if matches(&e, q) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b stored) int {
		order := a.Time.Compare(b.Time)
		if order == 0 {
			order = bytes.Compare(a.ID[:], b.ID[:])
		}
		if q.Ascending {
			return order
		}
		return -order
	})
	return found
}

func matches(e *stored, q *datastorage.EventQuery) bool {
	equal := func(value, filter string) bool { return filter == "" || value == filter }
	eventType := equal(e.Type, q.EventType)
	if q.EventTypePrefix {
		eventType = strings.HasPrefix(e.Type, q.EventType)
	}
	return eventType &&
		equal(e.CorrelationID, q.CorrelationID) &&
		equal(e.Category, q.Category) &&
		equal(e.Outcome, q.Outcome) &&
		equal(e.Severity, q.Severity) &&
		equal(e.Namespace, q.Namespace) &&
		equal(e.ClusterName, q.ClusterName) &&
		equal(e.ActorID, q.ActorID) &&
		equal(e.ActorType, q.ActorType) &&
		equal(e.ResourceType, q.ResourceType) &&
		equal(e.ResourceID, q.ResourceID) &&
		equal(e.TraceID, q.TraceID) &&
		(q.ParentID == uuid.Nil || e.ParentID == q.ParentID) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) &&
		(q.Until.IsZero() || !e.Time.After(q.Until)) &&
		(q.Size == 0 || e.index < q.Size) &&
		(len(q.DetailPath) == 0 || hasDetail(e.data, q.DetailPath, q.DetailValue))
}

// hasDetail follows members of objects, by name, and compares what it finds.
func hasDetail(data jsontext.Value, path []string, want string) bool {
	for _, name := range path {
		if data.Kind() != '{' {
			return false
		}
		var members map[string]jsontext.Value
		if err := json.Unmarshal(data, &members); err != nil {
			return false
		}
		data = members[name]
	}
	switch data.Kind() {
	case '"':
		var s string
		return json.Unmarshal(data, &s) == nil && s == want
	case '0', 't', 'f':
		return string(data) == want
	default:
		return false
	}
}

// toPage cuts a page out of all matches.
func toPage(found []stored, q *datastorage.EventQuery) (events []datastorage.StoredEvent, more bool) {
	if q.After != nil {
		behind := slices.IndexFunc(found, func(e stored) bool {
			order := e.Time.Compare(q.After.Time)
			if order == 0 {
				order = bytes.Compare(e.ID[:], q.After.ID[:])
			}
			return order > 0 == q.Ascending && order != 0
		})
		if behind < 0 {
			behind = len(found)
		}
		found = found[behind:]
	}
	found = found[min(int(q.Offset), len(found)):]
	for _, e := range found[:min(q.Limit, len(found))] {
		events = append(events, datastorage.StoredEvent{LogIndex: e.index, ID: e.ID, Time: e.Time, Body: e.Body})
	}
	return events, len(found) > q.Limit
}
