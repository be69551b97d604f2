package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// renderings returns everything that prints a value: fmt with every verb, both slog handlers, JSON and YAML.
func renderings(t *rapid.T, v any) string {
	var b bytes.Buffer
	for _, flag := range []string{"", "+", "#", "-", " ", "0", "40", ".3"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGsp" {
			fmt.Fprintf(&b, "%"+flag+string(verb)+"\n", v)
		}
	}
	fmt.Fprintln(&b, v)
	fmt.Fprintln(&b, fmt.Errorf("wrapped: %v", v))
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	if text, err = yaml.Marshal(v); err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	return b.String()
}

// TestSecret_Masking draws secrets that no mask, key or address holds by chance.
func TestSecret_Masking(t *testing.T) {
	type inside struct {
		Public  Secret
		private Secret
		Pointer *Secret
		List    []Secret
		Map     map[string]Secret
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[A-Z]{3}[ -~]{0,5}~[G-Z]{12}`).Draw(t, "secret")
		s := NewSecret(text)
		c := Default()
		c.Database.URL = s
		for _, v := range []any{s, &s, []Secret{s}, inside{s, s, &s, []Secret{s}, map[string]Secret{"a": s}}, c, &c, Effective{Config: c}} {
			if out := renderings(t, v); strings.Contains(out, text) || strings.Contains(out, text[len(text)-12:]) {
				t.Fatalf("%T shows the secret", v)
			}
		}
		if s.Reveal() != text || !s.IsSet() || !s.Equal(NewSecret(text)) || s.Equal(Secret{}) {
			t.Fatal("the secret is not what was hidden")
		}
	})
}

func TestSecret_String(t *testing.T) {
	for _, c := range []struct{ secret, verb, want string }{
		{"x", "%v", "[hidden]"}, {"x", "%q", `"[hidden]"`}, {"x", "%#v", "[hidden]"}, {"", "%s", ""}, {"", "%q", `""`},
	} {
		if got := fmt.Sprintf(c.verb, NewSecret(c.secret)); got != c.want {
			t.Errorf("%s of %q is %q, want %q", c.verb, c.secret, got, c.want)
		}
	}
}

// TestLoad_NeverShowsThePassword puts a password wherever a configuration may hold it, right or wrong, and looks for it
// in everything that is printed.
func TestLoad_NeverShowsThePassword(t *testing.T) {
	const password = "hunter2-QZXW"
	const url = "postgres://user:" + password + "@db.example.org/audit"
	files := []string{
		"database: {url: '" + url + "'}", "database: {url_file: '" + url + "'}", "database: {urll: '" + url + "'}", "database: '" + url + "'",
		"database:\n  url:" + url, "database: [" + url + "]", "database:\n  " + url + ": 1", "database: {url: ['" + url + "']}", "database: {url: *" + password + "}",
		"database: {url: 'mysql://u:" + password + "@h'}", "database: {url: '" + url + "', url: '" + url + "'}", "database: {url: 'postgres://u:" + password + "#@h:x'}",
		"database: {url: '" + url + "'", "url: " + url, url, "database: {url: !!int '" + url + "'}", "database:\n\turl: " + url, "\"" + url,
		"database: {url_file: " + filepath.Join(t.TempDir(), "absent") + "}",
	}
	environs := [][]string{
		nil, {"DATASTORAGE_DATABASE_URL=" + url}, {"DATASTORAGE_DATABASE_URL_FILE=" + url}, {"DATASTORAGE_DATABASE_URL=" + password},
		{"DATASTORAGE_DATABSE_URL=" + url}, {"DATASTORAGE_DATABASE_URL=" + url, "DATASTORAGE_DATABASE_URL_FILE=" + url},
	}
	for _, file := range files {
		for _, environ := range environs {
			e, name, err := loadFile(t, file)
			if environ != nil {
				e, err = Load(Sources{Flags: command(t, "--config", name), Environ: environ})
			}
			var out bytes.Buffer
			if err != nil {
				var faults Faults
				errors.As(err, &faults)
				fmt.Fprintf(&out, "%v %+v %#v", err, err, faults)
			} else if err := e.WriteYAML(&out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), password) {
				t.Errorf("%s with %s:\n%s", file, environ, &out)
			}
		}
	}
}
