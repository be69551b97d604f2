package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage/internal/sqlite"
)

// command runs one command line and returns what it printed and its exit code.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	err := run(t.Context(), args, nil, strings.NewReader(""), &out, &diagnostics)
	code = reportError(&diagnostics, err)
	return out.String(), diagnostics.String(), code
}

// imported returns the directory of a store with n events.
func imported(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"version":"1.0","event_type":"gateway.signal.received","event_timestamp":"2026-01-31T12:00:%02dZ","event_category":"gateway",`+
			`"event_action":"received","event_outcome":"success","correlation_id":"rr-1","event_data":{"n":%d}}`+"\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := command(t, "import", file, "--data-dir", dir); code != exitOK {
		t.Fatal(stderr)
	}
	return dir
}

// damage runs a statement on the database with its triggers off.
func damage(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqlite.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{
		`DROP TRIGGER IF EXISTS events_no_update`, `DROP TRIGGER IF EXISTS events_no_delete`, `DROP TRIGGER IF EXISTS event_ids_no_delete`,
		`DROP TRIGGER IF EXISTS ledger_commits_no_delete`, `DROP TRIGGER IF EXISTS correlations_no_delete`, statement,
	} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

func field(t *testing.T, output, name string) string {
	t.Helper()
	for line := range strings.Lines(output) {
		if value, ok := strings.CutPrefix(line, name+"  "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %q in\n%s", name, output)
	return ""
}

func TestVerify_Clean(t *testing.T) {
	t.Parallel()
	dir := imported(t, 5)
	before := listing(t, dir)
	stdout, stderr, code := command(t, "verify", "--data-dir", dir)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	for name, want := range map[string]string{
		"result": "consistent in itself; not anchored", "faults": "0", "first event": "2026-01-31T12:00:00Z", "last event": "2026-01-31T12:00:04Z",
		"store": "SQLite in " + dir, "events": "5 in 1 commits",
	} {
		if got := field(t, stdout, name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	anchor := field(t, stdout, "next anchor")
	stdout, _, code = command(t, "verify", "--data-dir", dir, "--expect", anchor)
	if got := field(t, stdout, "result"); code != exitOK || got != "consistent and anchored" {
		t.Errorf("exit code %d, %q", code, got)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("verify left %s, there was %s", after, before)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(entries)
}

func TestVerify_Faults(t *testing.T) {
	t.Parallel()
	dir := imported(t, 5)
	stdout, _, _ := command(t, "verify", "--data-dir", dir)
	anchor := field(t, stdout, "next anchor")
	damage(t, dir, `UPDATE events SET severity = 'low'`)
	stdout, stderr, code := command(t, "verify", "--data-dir", dir, "--max-faults", "2")
	if code != exitFault || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if !strings.HasPrefix(stdout, "altered column (severity), log_index 0, event ") || !strings.Contains(stdout, "\nand 3 more\n") ||
		strings.Contains(stdout, "next anchor") || field(t, stdout, "result") != "NOT as it was committed: 5 × altered column" {
		t.Errorf("output:\n%s", stdout)
	}

	receipt := filepath.Join(t.TempDir(), "receipt.json")
	size, root, _ := strings.Cut(anchor, ":")
	text := fmt.Sprintf(`{"receipt":{"log_index":4,"tree_size":%s,"root_hash":%q}}`, size, root)
	if err := os.WriteFile(receipt, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`DELETE FROM events`, `DELETE FROM event_ids`, `DELETE FROM ledger_commits`, `DELETE FROM correlations`} {
		damage(t, dir, statement)
	}
	if _, _, code := command(t, "verify", "--data-dir", dir); code != exitOK {
		t.Errorf("exit code %d without anchor", code)
	}
	stdout, _, code = command(t, "verify", "--data-dir", dir, "--receipt", receipt, "--json")
	var got struct {
		Result     string
		Anchored   bool
		FaultCount int `json:"fault_count"`
		Faults     []struct {
			Kind, Detail string
			LogIndex     int `json:"log_index"`
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	if code != exitFault || got.Anchored || got.FaultCount != 1 || got.Faults[0].Kind != "anchor does not match" || got.Faults[0].LogIndex != 4 ||
		!strings.Contains(got.Faults[0].Detail, "has only 0 events") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
}

func TestVerify_Refuses(t *testing.T) {
	t.Parallel()
	empty, older, newer := t.TempDir(), imported(t, 1), imported(t, 1)
	damage(t, older, `DELETE FROM schema_version WHERE version_id = (SELECT max(version_id) FROM schema_version)`)
	damage(t, newer, `INSERT INTO schema_version (version_id, is_applied) VALUES (9999, 1)`)
	junk := t.TempDir()
	if err := os.WriteFile(filepath.Join(junk, sqlite.FileName), bytes.Repeat([]byte("junk"), 1024), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"--expect \"7\": an anchor is written SIZE:ROOT", exitUsage, []string{"--expect", "7"}},
		{"--max-faults must be at least 0", exitUsage, []string{"--max-faults", "-1"}},
		{"takes no argument", exitUsage, []string{"here"}},
		{"no such file", exitFault, []string{"--receipt", filepath.Join(empty, "none")}},
		{"there is no database in " + empty, exitFault, []string{"--data-dir", empty}},
		{"there is no database in " + empty, exitFault, []string{"--data-dir", filepath.Join(empty, "deeper")}},
		{"is not a database", exitFault, []string{"--data-dir", junk}},
		{"bring it up to date with \"datastorage migrate\"", exitFault, []string{"--data-dir", older}},
		{"use a newer datastorage", exitFault, []string{"--data-dir", newer}},
	} {
		stdout, stderr, code := command(t, append([]string{"verify"}, c.args...)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit code %d, %q, without %q", c.args, code, stderr, c.want)
		}
	}
	if after := listing(t, empty); after != "[]" {
		t.Errorf("verify left %s", after)
	}
}
