package config

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestEffective_WriteYAML_RoundTrip: what is printed is a configuration file that means the same.
func TestEffective_WriteYAML_RoundTrip(t *testing.T) {
	text := rapid.StringMatching(`[ -~äß日]{1,20}`).Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
	category := rapid.StringMatching(`(true|null|yes|[a-z][a-z0-9_-]{0,9})`)
	rapid.Check(t, func(r *rapid.T) {
		want := Default()
		want.DataDir = text.Draw(r, "data_dir")
		want.Demo = rapid.Bool().Draw(r, "demo")
		want.Database.QueryTimeout = time.Duration(rapid.Int64Range(1e6, 3600e9).Draw(r, "query_timeout"))
		want.Ingest.MaxQueueBytes = Size(rapid.Int64Range(16<<20, 64<<30).Draw(r, "max_queue_bytes"))
		want.HTTP.RateLimit = rapid.Float64Range(0, 1e6).Draw(r, "rate_limit")
		if names := rapid.SliceOfNDistinct(category, 0, 4, rapid.ID).Draw(r, "categories"); len(names) > 0 {
			want.Ingest.ExtraCategories = names
			want.Retention.ByCategory = map[string]int{names[0]: rapid.IntRange(1, 36500).Draw(r, "days")}
		}
		var out bytes.Buffer
		if err := (&Effective{Config: want}).WriteYAML(&out); err != nil {
			r.Fatal(err)
		}
		got, err := Load(Sources{Flags: command(t, "--config", writeFile(t, out.String()))})
		if err != nil {
			r.Fatalf("%v in\n%s", err, &out)
		}
		if diff := cmp.Diff(want, got.Config); diff != "" {
			r.Fatalf("(-want +got)\n%s\n%s", diff, &out)
		}
	})
}

func TestEffective_WriteYAML(t *testing.T) {
	name := writeFile(t, "retention:\n  by_category:\n    gateway: 30\ningest:\n  extra_categories:\n    - billing\n")
	e, err := Load(Sources{Flags: command(t, "--config", name, "--demo"), Environ: []string{"DATASTORAGE_DATABASE_URL=postgres://u:p@h/d"}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"listen: 127.0.0.1:8080 # default\n", "demo: true # --demo\n", "  url: \"[hidden]\" # DATASTORAGE_DATABASE_URL\n",
		"  by_category: {gateway: 30} # " + name + ":2\n", "  extra_categories: [billing] # " + name + ":5\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in\n%s", line, &out)
		}
	}
}

func TestWriteManual(t *testing.T) {
	var out strings.Builder
	if err := WriteManual(&out); err != nil {
		t.Fatal(err)
	}
	for _, s := range known().settings {
		if !strings.Contains(out.String(), "  "+s.key+" (default ") || !strings.Contains(out.String(), s.env) {
			t.Errorf("%s is not in the manual", s.key)
		}
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if strings.HasPrefix(line, "      ") && len(line) > 100 {
			t.Errorf("%q is longer than 100", line)
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"config", "data-dir", "database-url", "demo"}
	for name, want := range map[string]string{"confg": "config", "datadir": "data-dir", "databse_url": "database-url", "zzz": "", "": "", "d": "", "demo": "demo"} {
		if got := Closest(name, names); got != want {
			t.Errorf("Closest(%q) = %q, want %q", name, got, want)
		}
	}
}
