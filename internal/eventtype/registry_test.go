package eventtype

import (
	"fmt"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

func versionOf(name string, n int64, mode, schema string) *datastorage.EventType {
	return &datastorage.EventType{Name: name, Version: n, Mode: mode, Schema: jsontext.Value(schema)}
}

func TestRegistry_Add(t *testing.T) {
	t.Parallel()
	const strict = `{"required":["a"]}`
	first, err := New().Add(versionOf("x", 1, datastorage.ModeWarn, strict))
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Add(versionOf("x", 2, datastorage.ModeOff, strict))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{0, 1, 3} {
		if _, err := first.Add(versionOf("x", n, datastorage.ModeOff, strict)); err == nil {
			t.Errorf("version %d follows version 1", n)
		}
	}
	found, err := first.Check("x", jsontext.Value(`{}`))
	if err != nil || found == nil || found.Type.Version != 1 || found.Total != 1 {
		t.Errorf("mode warn: %+v, %v", found, err)
	}
	if found, err := first.Check("x", jsontext.Value(`{"a":1}`)); found != nil || err != nil {
		t.Errorf("a good value: %+v, %v", found, err)
	}
	for name, r := range map[string]*Registry{"new": New(), "mode off": second} {
		if found, err := r.Check("x", jsontext.Value(`{}`)); found != nil || err != nil || r.Checks() {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	// A type that is built in keeps what is built in as version 0.
	own, err := New().Add(versionOf("gateway.signal.received", 1, datastorage.ModeEnforce, strict))
	if err != nil {
		t.Fatal(err)
	}
	if v := own.Versions("gateway.signal.received"); len(v) != 2 || v[0].Version != 1 || v[1].Version != 0 {
		t.Errorf("versions %v", v)
	}
	if a, b := len(own.All()), len(New().All()); a != b || own.Len() != 1 {
		t.Errorf("%d types, %d before", a, b)
	}
}

// TestRegistry_Check_Broken takes the events of a type whose stored schema cannot be compiled, and says why.
func TestRegistry_Check_Broken(t *testing.T) {
	t.Parallel()
	r, err := New().Add(versionOf("x", 1, datastorage.ModeEnforce, `{"type":"strin"}`))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := r.Check("x", jsontext.Value(`{}`)); found != nil || err == nil {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestRegistry_Property: whatever is added, versions are dense, the newest one counts, and registries of the past stay as
// they were.
func TestRegistry_Property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		past := []*Registry{New()}
		counts := []map[string]int64{{}}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"a", "b", "gateway.signal.received"}).Draw(t, "name")
			mode := rapid.SampledFrom(datastorage.EventTypeModes).Draw(t, "mode")
			last := counts[len(counts)-1]
			next := map[string]int64{name: last[name] + 1}
			for other, n := range last {
				if other != name {
					next[other] = n
				}
			}
			r, err := past[len(past)-1].Add(versionOf(name, next[name], mode, fmt.Sprintf(`{"const":%d}`, next[name])))
			if err != nil {
				t.Fatal(err)
			}
			past, counts = append(past, r), append(counts, next)
		}
		for i, r := range past {
			for name, n := range counts[i] {
				newest, ok := r.Get(name)
				versions := r.Versions(name)
				if !ok || newest.Version != n || versions[0] != newest {
					t.Fatalf("step %d: %s has version %v, want %d", i, name, newest, n)
				}
				for k := range n {
					if versions[k].Version != n-k {
						t.Fatalf("step %d: version %d at place %d", i, versions[k].Version, k)
					}
				}
				found, err := r.Check(name, jsontext.Value(`{}`))
				if err != nil || (found != nil) != (newest.Mode != datastorage.ModeOff) {
					t.Fatalf("step %d: mode %s: %v, %v", i, newest.Mode, found, err)
				}
			}
		}
	})
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"properties":{"a":{"type":"string","pattern":"^a+$"}},"required":["a"]}`), []byte(`{"a":"b"}`))
	f.Add([]byte(`{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"const":1},{"items":{"$ref":"#"}}]}}}`), []byte(`{"a":[1,1e400]}`))
	f.Add([]byte(`{"unevaluatedProperties":false,"oneOf":[{"$ref":"#x"}],"$defs":{"x":{"$anchor":"x"}}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, text, data []byte) {
		e, err := datastorage.DecodeEventType(fmt.Appendf(nil, `{"event_type":"a","schema":%s,"examples":[%s]}`, text, data), "")
		if err != nil {
			return
		}
		schema, err := Compile(e.Schema)
		if err != nil {
			if datastorage.CodeOf(err) != datastorage.CodeValidation {
				t.Errorf("%s: %v", e.Schema, err)
			}
			return
		}
		for _, example := range e.Examples {
			found, total := schema.Check(example)
			again, same := schema.Check(example)
			if total != same || len(found) != len(again) || len(found) > MaxViolations {
				t.Errorf("%s of %s: %v, then %v", example, e.Schema, found, again)
			}
		}
	})
}

// BenchmarkRegistry_Check is what ingest pays for one event: of a type that is not checked, and of checked ones.
func BenchmarkRegistry_Check(b *testing.B) {
	var all []*recorded
	payloads(b, func(e *recorded) { all = append(all, e) })
	off, warn := New(), New()
	for _, t := range New().All() {
		next := *t
		next.Version, next.Mode = 1, datastorage.ModeWarn
		var err error
		if warn, err = warn.Add(&next); err != nil {
			b.Fatal(err)
		}
		if t.Name == "notification.message.sent" { // none of the recorded events
			if off, err = off.Add(&next); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		r    *Registry
	}{{"NoTypeChecked", New()}, {"OtherTypeChecked", off}, {"Checked", warn}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := all[i%len(all)]
				if found, err := c.r.Check(e.Type, e.Data); found != nil || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}
