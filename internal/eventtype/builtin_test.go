package eventtype

import (
	"bufio"
	"compress/gzip"
	"os"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
)

func TestBuiltin(t *testing.T) {
	t.Parallel()
	for name, e := range builtin() {
		schema, err := Compile(e.Schema)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e.Mode != datastorage.ModeOff || e.Version != 0 || e.Owner != BuiltinOwner || e.Description == "" {
			t.Errorf("%s: mode %q, version %d, owner %q, description %q", name, e.Mode, e.Version, e.Owner, e.Description)
		}
		for i, example := range e.Examples {
			if found, n := schema.Check(example); n > 0 {
				t.Errorf("%s: example %d: %v", name, i, found)
			}
		}
	}
}

// recorded is what a recorded event says.
type recorded struct {
	Type string         `json:"event_type"`
	Data jsontext.Value `json:"event_data"`
}

// payloads calls f with every recorded event.
func payloads(t testing.TB, f func(e *recorded)) {
	t.Helper()
	file, err := os.Open("testdata/payloads.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e recorded
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		e.Data = e.Data.Clone()
		f(&e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestBuiltin_RecordedRuns(t *testing.T) {
	t.Parallel()
	schemas, total := map[string]*Schema{}, 0
	payloads(t, func(e *recorded) {
		schema := schemas[e.Type]
		if schema == nil {
			known, ok := New().Get(e.Type)
			if !ok {
				t.Fatalf("%s is not built in", e.Type)
			}
			var err error
			if schema, err = Compile(known.Schema); err != nil {
				t.Fatal(err)
			}
			schemas[e.Type] = schema
		}
		if found, n := schema.Check(e.Data); n > 0 {
			t.Errorf("%s: %v", e.Type, found)
		}
		total++
	})
	if total != 2777 || len(schemas) != 12 {
		t.Errorf("checked %d events of %d types", total, len(schemas))
	}
}
