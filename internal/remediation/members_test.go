package remediation

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
)

// FuzzMembers compares the members of canonical objects with those that a JSON library finds, and reads anything without
// harm.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":{"b":[1,{"c":"}"}]},"d":"\"\\","e":null}`, `{"\"":"\\\\"}`, `{"a":"`, `{"a":[`, `{"a"`, `[]`, `{`, ``, `{"a":1`, `{"a":}`,
		`{"é":-1.5e3,"z":[[],{}]}`, `{"a":"\\"}`, `{"\\":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		objectOf(raw)
		canonical, err := datastorage.Canonical(raw)
		if err != nil || canonical[0] != '{' {
			return
		}
		want := map[string]jsontext.Value{}
		if err := json.Unmarshal(canonical, &want); err != nil {
			t.Fatal(err)
		}
		got := objectOf(canonical)
		if len(got) != len(want) {
			t.Fatalf("%s: %d members, want %d", canonical, len(got), len(want))
		}
		for _, m := range got {
			name, err := jsontext.AppendUnquote(nil, append(append([]byte{'"'}, m.name...), '"'))
			if err != nil || !bytes.Equal(want[string(name)], m.value) {
				t.Errorf("%s: member %s is %s, want %s, %v", canonical, m.name, m.value, want[string(name)], err)
			}
		}
	})
}
