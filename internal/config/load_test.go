package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/datastorage-io/datastorage/internal/catalog"
)

// command returns the parsed flags of a command line.
func command(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddStoreFlags(flags)
	AddServerFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// writeFile returns the path of a new file with the text.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// loadFile loads a file with the text and nothing else.
func loadFile(t *testing.T, text string) (*Effective, string, error) {
	t.Helper()
	name := writeFile(t, text)
	e, err := Load(Sources{Flags: command(t, "--config", name)})
	return e, name, err
}

// wantFaults checks that err is Faults with these lines, in this order, where FILE stands for the file's name.
func wantFaults(t *testing.T, err error, file string, want ...string) {
	t.Helper()
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("the error is %v, want faults", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, strings.ReplaceAll(f.String(), file, "FILE"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults differ (-want +got):\n%s", diff)
	}
}

func TestDefault(t *testing.T) {
	c := Default()
	if c.Listen != "127.0.0.1:8080" || c.Ingest.WindowPast != 168*time.Hour || c.Ingest.MaxQueueBytes != 64<<20 ||
		c.Retention.DefaultDays != 2555 || c.Shutdown.DrainDelay != 5*time.Second || c.Database.URL.IsSet() || c.Ingest.ExtraCategories != nil {
		t.Errorf("defaults are %+v", c)
	}
}

func TestLoad_Precedence(t *testing.T) {
	file := writeFile(t, "log: {level: warn}")
	for _, c := range []struct {
		args, environ       []string
		wantLevel, wantFrom string
	}{
		{nil, nil, "info", "default"},
		{[]string{"--config", file}, nil, "warn", file + ":1"},
		{nil, []string{"DATASTORAGE_CONFIG=" + file}, "warn", file + ":1"},
		{[]string{"--config", file}, []string{"DATASTORAGE_CONFIG=/absent"}, "warn", file + ":1"},
		{[]string{"--config", file}, []string{"DATASTORAGE_LOG_LEVEL=error"}, "error", "DATASTORAGE_LOG_LEVEL"},
		{[]string{"--config", file}, []string{"DATASTORAGE_LOG_LEVEL="}, "warn", file + ":1"},
		{[]string{"--config", file, "--log-level=debug"}, []string{"DATASTORAGE_LOG_LEVEL=error"}, "debug", "--log-level"},
		{[]string{"--log-level=info"}, []string{"DATASTORAGE_LOG_LEVEL=error"}, "info", "--log-level"},
	} {
		e, err := Load(Sources{Flags: command(t, c.args...), Environ: c.environ})
		if err != nil {
			t.Errorf("%v %v: %v", c.args, c.environ, err)
		} else if from := e.Origin("log.level").String(); e.Log.Level != c.wantLevel || from != c.wantFrom {
			t.Errorf("%v %v: level %s from %s, want %s from %s", c.args, c.environ, e.Log.Level, from, c.wantLevel, c.wantFrom)
		}
	}
}

func TestLoad_EveryType(t *testing.T) {
	fromFile, _, err := loadFile(t, `
listen: :0
demo: true
database: {url: "postgres://u:p@h/d", query_timeout: 0.01d}
ingest:
  extra_categories: [billing, a-b_1]
  max_queue_bytes: &size 1.5GiB
  max_commit_bytes: 1.0GiB
ingest.max_batch_events: 7
retention:
  by_category:
    gateway: 30
    billing: 40
http: {rate_limit: 0.5, allowed_origins: ["*", "https://ui.example.org:8443"]}
log: # nothing set
shutdown: {drain_delay: 0, timeout: null}
`)
	if err != nil {
		t.Fatal(err)
	}
	fromEnvironment, err := Load(Sources{Environ: []string{
		"DATASTORAGE_LISTEN=:0", "DATASTORAGE_DEMO=true", "DATASTORAGE_DATABASE_URL=postgres://u:p@h/d", "DATASTORAGE_DATABASE_QUERY_TIMEOUT=14m24s",
		"DATASTORAGE_INGEST_EXTRA_CATEGORIES=billing, a-b_1,", "DATASTORAGE_INGEST_MAX_QUEUE_BYTES=1536MiB", "DATASTORAGE_INGEST_MAX_COMMIT_BYTES=1GiB",
		"DATASTORAGE_INGEST_MAX_BATCH_EVENTS=7", "DATASTORAGE_RETENTION_BY_CATEGORY=gateway=30, billing = 40", "DATASTORAGE_HTTP_RATE_LIMIT=.5",
		"DATASTORAGE_HTTP_ALLOWED_ORIGINS=*,https://ui.example.org:8443", "DATASTORAGE_SHUTDOWN_DRAIN_DELAY=0s", "PATH=/bin",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen, want.Demo = ":0", true
	want.Database.URL, want.Database.QueryTimeout = NewSecret("postgres://u:p@h/d"), 864*time.Second
	want.Ingest.ExtraCategories = []string{"billing", "a-b_1"}
	want.Ingest.MaxQueueBytes, want.Ingest.MaxCommitBytes, want.Ingest.MaxBatchEvents = 3<<29, 1<<30, 7
	want.Retention.ByCategory = map[string]int{"gateway": 30, "billing": 40}
	want.HTTP.RateLimit, want.HTTP.AllowedOrigins = 0.5, []string{"*", "https://ui.example.org:8443"}
	want.Shutdown.DrainDelay = 0
	if diff := cmp.Diff(want, fromFile.Config); diff != "" {
		t.Errorf("from the file (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, fromEnvironment.Config); diff != "" {
		t.Errorf("from the environment (-want +got):\n%s", diff)
	}
}

// TestLoad_AllFaults reports everything at once, in the file's order, then the environment's, then the flags'.
func TestLoad_AllFaults(t *testing.T) {
	file := writeFile(t, `listen: localhost
databse: {url: x}
window_past: 7d
data-dir: /var/lib
log:
  level: loud
  lvel: info
  format: text
  format: json
ingest:
  max_batch_events: 100000
  max_queue_bytes: 64Mib
  extra_categories: [ok, Not-OK]
  write_timeout: soon
retention: 30
http:
  read_timeout: 1s
  allowed_origins: https://ui.example.org/path
  rate_limit: .inf
  max_header_bytes: {a: b}
"a b c": 1
`)
	_, err := Load(Sources{
		Flags: command(t, "--config", file, "--database-url", "mysql://u:hunter2@h/d"),
		Environ: []string{
			"DATASTORAGE_SHUTDOWN_TIMEOUT=0", "DATASTORAGE_LISTN=:1", "DATASTORAGE_DEMO=yes", "DATASTORAGE_XYZZY_PLUGH=1",
			"DATASTORAGE_RETENTION_BY_CATEGORY=gateway=0",
		},
	})
	wantFaults(t, err, file,
		`listen (FILE:1): "localhost" is not host:port, such as 127.0.0.1:8080 or :8080`,
		`databse (FILE:2): unknown setting; did you mean database?`,
		`window_past (FILE:3): unknown setting; did you mean ingest.window_past?`,
		`data-dir (FILE:4): unknown setting; did you mean data_dir?`,
		`log.level (FILE:6): "loud" is not one of debug, info, warn or error`,
		`log.lvel (FILE:7): unknown setting; did you mean log.level?`,
		`log.format (FILE:9): is already set on line 8`,
		`ingest.max_batch_events (FILE:11): must be between 1 and 10000, not 100000`,
		`ingest.max_queue_bytes (FILE:12): "64Mib" is not a size such as 512, 64KiB or 1.5GiB`,
		`ingest.extra_categories (FILE:13): "Not-OK" is not a lower-case letter followed by at most 49 lower-case letters, digits, _ or -`,
		`ingest.write_timeout (FILE:14): "soon" is not a duration such as 500ms, 10s, 1h30m or 7d`,
		`retention (FILE:15): must be a mapping of settings`,
		`http.read_timeout (FILE:17): must be at least http.read_header_timeout, which is 5s`,
		`http.allowed_origins (FILE:18): "https://ui.example.org/path" is not an origin such as https://ui.example.org, without a path, or *`,
		`http.rate_limit (FILE:19): ".inf" is not a number`,
		`http.max_header_bytes (FILE:20): must be a single value`,
		`FILE:21: unknown setting`,
		`DATASTORAGE_LISTN: unknown environment variable; did you mean DATASTORAGE_LISTEN?`,
		`DATASTORAGE_XYZZY_PLUGH: unknown environment variable`,
		`demo (DATASTORAGE_DEMO): "yes" is neither true nor false`,
		`retention.by_category (DATASTORAGE_RETENTION_BY_CATEGORY): "gateway": must be between 1 and 36500, not 0`,
		`shutdown.timeout (DATASTORAGE_SHUTDOWN_TIMEOUT): must be between 1s and 1h, not 0s`,
		`database.url (--database-url): must be empty or begin with postgres://`,
	)
	if got := err.Error(); !strings.HasPrefix(got, "the configuration has 23 faults:\n  listen (") {
		t.Errorf("the error begins %q", got[:60])
	}
	var faults Faults
	if errors.As(err, &faults) && faults.OnCommandLine() {
		t.Error("the command line alone is blamed")
	}
}

func TestLoad_Rules(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 1.2.3.4:99999":                         `listen (FILE:1): the port must be a number from 0 to 65535, not "99999"`,
		"data_dir: ' '":                                 `data_dir (FILE:1): must not be empty`,
		"database: {url: 'postgres://u:p#w@h:x/d'}":     `database.url (FILE:1): is not a URL; characters such as / @ : # % and spaces in a user name or password are written as %2F %40 %3A %23 %25 %20`,
		"catalog: {weights: {base: 100}}":               `catalog.weights.base (FILE:1): must be at least the sum of both penalties, 200: a score below 0 is none`,
		"catalog: {weights: {git_ops_tool: 40}}":        `catalog.weights.git_ops_tool_wildcard (FILE:1): must be at most git_ops_tool, which is 40: a wildcard says less than the value itself`,
		"ingest: {max_queue_events: 999}":               `ingest.max_queue_events (FILE:1): must be at least ingest.max_batch_events, which is 1000`,
		"ingest: {max_commit_bytes: 128MiB}":            `ingest.max_queue_bytes (FILE:1): must be at least ingest.max_commit_bytes, which is 128MiB`,
		"dead_letters: {backend: redis}":                `dead_letters.redis.url (FILE:1): must be set for the backend redis`,
		"dead_letters: {redis: {url: \"http://h\"}}":    `dead_letters.redis.url (FILE:1): must be empty or begin with redis:// or rediss://`,
		"dead_letters: {redis: {url: \"redis://h:x\"}}": `dead_letters.redis.url (FILE:1): ` + noURL,
		"{ingest: {write_timeout: 1s}, dead_letters: {backend: redis, redis: {url: \"redis://h\"}}}": `dead_letters.redis.timeout (FILE:1): must be at most a third of ingest.write_timeout, which is 1s`,
		"http: {read_header_timeout: 1m}":               `http.read_timeout (FILE:1): must be at least http.read_header_timeout, which is 1m`,
		"retention: {by_category: {gatway: 1}}":         `retention.by_category (FILE:1): "gatway" is neither a built-in category nor one of ingest.extra_categories; did you mean gateway?`,
		"retention: {by_category: {gateway: x}}":        `retention.by_category (FILE:1): "gateway": "x" is not a whole number`,
		"retention: {by_category: [gateway]}":           `retention.by_category (FILE:1): must be a mapping`,
		"retention: {by_category: {a: 1, a: 2}}":        `retention.by_category (FILE:1): names "a" twice`,
		"retention: {by_category: {a: [1]}}":            `retention.by_category (FILE:1): "a": must be a single value`,
		"ingest: {extra_categories: {a: b}}":            `ingest.extra_categories (FILE:1): must be a list`,
		"ingest: {extra_categories: [[a]]}":             `ingest.extra_categories (FILE:1): each element must be a single value`,
		"- listen":                                      `FILE:1: must be a mapping of settings`,
		"listen: a\n---\nlisten: b":                     `FILE: must hold one YAML document`,
		"listen: [":                                     `FILE:1: is not YAML: did not find expected node content`,
		"listen: *hunter2":                              `FILE: is not YAML`,
		"log: {level: " + strings.Repeat("x", 99) + "}": `log.level (FILE:1): "` + strings.Repeat("x", 64) + `…" is not one of debug, info, warn or error`,
	} {
		_, name, err := loadFile(t, text)
		if err == nil {
			t.Errorf("%s: no fault", text)
			continue
		}
		var faults Faults
		if errors.As(err, &faults); len(faults) == 0 || strings.ReplaceAll(faults[0].String(), name, "FILE") != want {
			t.Errorf("%s:\n got %s\nwant %s", text, faults, want)
		}
	}
}

func TestLoad_EmptyFile(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "null\n"} {
		if e, _, err := loadFile(t, text); err != nil || !cmp.Equal(e.Config, Default()) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoad_UnreadableFile(t *testing.T) {
	directory := t.TempDir()
	huge := writeFile(t, strings.Repeat("#", maxFileBytes+1))
	for name, want := range map[string]string{
		filepath.Join(directory, "absent"): "the configuration file cannot be read: there is no such file",
		directory:                          "the configuration file cannot be read: is a directory",
		huge:                               "the configuration file cannot be read: it is larger than 1 MiB",
	} {
		_, err := Load(Sources{Flags: command(t, "--config", name), Environ: []string{"DATASTORAGE_DEMO=1"}})
		wantFaults(t, err, name, "FILE: "+want, `demo (DATASTORAGE_DEMO): "1" is neither true nor false`)
	}
}

func TestLoad_DatabaseURL(t *testing.T) {
	const url = "postgres://user:hunter2@db.example.org/audit"
	secret := writeFile(t, "\n "+url+" \n")
	blank := writeFile(t, "\n")
	yaml := writeFile(t, "database: {url_file: "+secret+"}")
	for _, c := range []struct {
		name          string
		args, environ []string
		want, fault   string
	}{
		{"from the file of a secret", nil, []string{"DATASTORAGE_DATABASE_URL_FILE=" + secret}, url, ""},
		{"the YAML file names the file", []string{"--config", yaml}, nil, url, ""},
		{"a flag goes before", []string{"--config", yaml, "--database-url=postgres://other"}, nil, "postgres://other", ""},
		{"an empty flag goes before", []string{"--config", yaml, "--database-url="}, nil, "", ""},
		{"a file goes before a lower source", []string{"--config", writeFile(t, "database: {url: postgres://other}")}, []string{"DATASTORAGE_DATABASE_URL_FILE=" + secret}, url, ""},
		{"both at once", nil, []string{"DATASTORAGE_DATABASE_URL_FILE=" + secret, "DATASTORAGE_DATABASE_URL=" + url}, "",
			"database.url_file (DATASTORAGE_DATABASE_URL_FILE): is set beside database.url (DATASTORAGE_DATABASE_URL); keep one of them"},
		{"absent", nil, []string{"DATASTORAGE_DATABASE_URL_FILE=/absent/file"}, "", "database.url_file (DATASTORAGE_DATABASE_URL_FILE): /absent/file cannot be read: there is no such file"},
		{"blank", nil, []string{"DATASTORAGE_DATABASE_URL_FILE=" + blank}, "", "database.url_file (DATASTORAGE_DATABASE_URL_FILE): " + blank + " cannot be read: it is empty"},
		{"the URL in place of the file", nil, []string{"DATASTORAGE_DATABASE_URL_FILE=" + url}, "",
			"database.url_file (DATASTORAGE_DATABASE_URL_FILE): must be the path of a file that holds the URL, not the URL itself"},
	} {
		e, err := Load(Sources{Flags: command(t, c.args...), Environ: c.environ})
		switch {
		case c.fault != "":
			wantFaults(t, err, "\x00", c.fault) // names no file of its own
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case e.Database.URL.Reveal() != c.want:
			t.Errorf("%s: the URL is %q, want %q", c.name, e.Database.URL.Reveal(), c.want)
		}
	}
}

func TestLoad_RedisURLFile(t *testing.T) {
	secret := writeFile(t, " rediss://:p@h:6380/1\n")
	e, _, err := loadFile(t, "dead_letters: {backend: redis, redis: {url_file: "+secret+"}}")
	if err != nil {
		t.Fatal(err)
	}
	if got := e.DeadLetters.Redis.URL.Reveal(); got != "rediss://:p@h:6380/1" {
		t.Errorf("the URL is %q", got)
	}
	if err := Check(writeFile(t, "dead_letters: {backend: redis, redis: {url_file: /absent/here}}")); err != nil {
		t.Errorf("Check reads the file of a secret: %v", err)
	}
}

// TestLoad_ForeignVariables lets pass what Kubernetes sets for Services named datastorage and datastorage-db, and what
// shells set for completion.
func TestLoad_ForeignVariables(t *testing.T) {
	environ := []string{"DATASTORAGE_ACTIVE_HELP=0", "DATASTORAGE_COMPLETION_DESCRIPTIONS=0", "DATASTORAGE_CONFIG="}
	for _, service := range []string{"DATASTORAGE", "DATASTORAGE_DB"} {
		environ = append(environ,
			service+"_SERVICE_HOST=10.0.0.1", service+"_SERVICE_PORT=8080", service+"_SERVICE_PORT_HTTP=8080", service+"_PORT=tcp://10.0.0.1:8080",
			service+"_PORT_8080_TCP=tcp://10.0.0.1:8080", service+"_PORT_8080_TCP_PROTO=tcp", service+"_PORT_8080_TCP_PORT=8080", service+"_PORT_8080_TCP_ADDR=10.0.0.1")
	}
	if _, err := Load(Sources{Environ: environ}); err != nil {
		t.Error(err)
	}
	_, err := Load(Sources{Environ: []string{"DATASTORAGE_PORT=8080"}})
	wantFaults(t, err, "-", "DATASTORAGE_PORT: unknown environment variable")
}

func TestCheck(t *testing.T) {
	t.Setenv("DATASTORAGE_LOG_LEVEL", "loud")
	if err := Check(writeFile(t, "listen: :80\ndatabase: {url_file: /absent/here}")); err != nil {
		t.Error(err)
	}
	name := writeFile(t, "listen: 80\nport: 80")
	wantFaults(t, Check(name), name, `listen (FILE:1): "80" is not host:port, such as 127.0.0.1:8080 or :8080`, "port (FILE:2): unknown setting")
}

// TestSettings checks that names are unique and of one form, and that limits hold the default.
func TestSettings(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range known().settings {
		for _, name := range []string{s.key, s.env, "--" + s.flag} {
			if name != "--" && seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if _, err := s.decode(value{text: s.def}); err != nil {
			t.Errorf("%s: the default %v", s.key, err)
		}
	}
}

// TestDefault_Weights: the defaults in the manual are the contract's.
func TestDefault_Weights(t *testing.T) {
	if got := catalog.Weights(Default().Catalog.Weights); got != catalog.DefaultWeights() {
		t.Errorf("weights are %+v", got)
	}
}
