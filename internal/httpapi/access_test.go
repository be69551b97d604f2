package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage/internal/auth"
)

// holders are the tokens of a test, by role, and whatever must not be shown of them.
type holders struct {
	token   map[string]string
	secrets []string
}

// withTokens serves with a file of one token for each role, under the names of the roles with "-client" behind.
func withTokens(t testing.TB, h *holders) func(*configuration) {
	t.Helper()
	h.token = map[string]string{}
	var text strings.Builder
	for _, role := range auth.AllRoles {
		token, hash := auth.NewToken()
		line, err := auth.Line(string(role)+"-client", []auth.Role{role}, hash)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(line + "\n")
		h.token[string(role)] = token
		h.secrets = append(h.secrets, token, hash.String())
	}
	name := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *configuration) {
		file, err := auth.Open(name, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c.Access.Clients = file
	}
}

// routesByRole is what each role is needed for.
var routesByRole = []struct{ method, path, role string }{
	{"POST", eventsPath, "write"}, {"POST", batchPath, "write"}, {"POST", notificationsPath, "write"},
	{"GET", streamPath + "?limit=1", "read"}, // which is a 400 where it may
	{"GET", eventsPath, "read"}, {"HEAD", eventsPath, "read"}, {"GET", eventsPath + "/x", "read"}, {"GET", eventsPath + "/x/body", "read"},
	{"GET", timelinePath("x"), "read"}, {"GET", effectivenessPath + "x", "read"}, {"GET", historyPath, "read"}, {"POST", reconstructPath("x"), "read"},
	{"GET", producersPath, "read"}, {"GET", gapsPath("x"), "read"},
	{"GET", correlationListPath, "read"}, {"GET", correlationsPath + "x", "read"}, {"GET", notificationsPath, "read"}, {"GET", lettersPath, "read"}, {"GET", lettersPath + "/x", "read"},
	{"GET", queuesPath, "read"}, {"POST", lettersPath + "/x/replay", "admin"}, {"DELETE", lettersPath + "/x", "admin"},
	{"GET", outcomePaths[0], "read"}, {"GET", outcomePaths[1], "read"}, {"GET", outcomePaths[2], "read"}, {"GET", incidentsPath, "read"}, {"GET", incidentsPath + "/x", "read"},
	{"GET", outcomePaths[4], "read"}, {"GET", outcomePaths[5], "read"}, {"GET", outcomePaths[6], "read"}, {"GET", outcomePaths[7], "read"},
	{"POST", workflowsPath, "write"}, {"GET", workflowsPath, "read"}, {"GET", exportPath, "read"}, {"GET", actionsPath, "read"}, {"GET", actionPath, "read"},
	{"GET", workflowsPath + "/x", "read"}, {"PATCH", workflowsPath + "/x", "write"},
	{"PATCH", workflowsPath + "/x/disable", "write"}, {"GET", versionsPath, "read"}, {"POST", searchPath, "read"}, {"POST", importPath, "write"},
	{"GET", eventTypesPath, "read"}, {"GET", typePath, "read"}, {"PUT", typePath, "write"},
	{"GET", "/health", ""}, {"GET", "/health/ready", ""}, {"GET", "/health/live", ""}, {"GET", "/metrics", ""}, {"GET", "/openapi.yaml", ""},
}

func TestServer_Tokens(t *testing.T) {
	h := &holders{}
	s := newServer(t, withLetters(newQuarantine(t, 1)), withTokens(t, h))
	if len(s.api.Patterns()) != len(routesByRole)-1 {
		t.Errorf("the test knows %d routes, the API has %d", len(routesByRole)-1, len(s.api.Patterns()))
	}
	for _, r := range routesByRole {
		name := r.method + " " + r.path
		for role, token := range h.token {
			want := r.role == "" || role == r.role || role == "admin"
			a := s.send(r.method, r.path, nil, "Authorization", "Bearer "+token)
			if got := a.status != 401 && a.status != 403; got != want {
				t.Errorf("%s as %s: %d %s", name, role, a.status, a.body)
			}
			if !want && r.method != "HEAD" {
				s.problem(a, http.StatusForbidden, "permission-denied", "role "+r.role, role+"-client")
			}
		}
		for _, headers := range [][]string{
			nil, {"Authorization", ""}, {"Authorization", "Bearer"}, {"Authorization", "Bearer " + h.token["admin"] + "x"}, {"Authorization", "Basic " + h.token["admin"]},
			{"Authorization", "Bearer " + h.secrets[1]}, {"Authorization", "Bearer " + h.token["admin"], "Authorization", "Bearer " + h.token["admin"]},
		} {
			a := s.send(r.method, r.path, nil, headers...)
			if r.role == "" {
				if a.status != http.StatusOK {
					t.Errorf("%s is not open: %d", name, a.status)
				}
				continue
			}
			if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with %q: %d, WWW-Authenticate %q", name, headers, a.status, a.header.Get("WWW-Authenticate"))
			}
		}
	}
	// What does not exist is a 404 or a 405 for everybody.
	s.problem(s.send(http.MethodGet, "/api/v1/nothing", nil), http.StatusNotFound, "not-found")
	s.problem(s.send(http.MethodPut, lettersPath+"/x", "{}"), http.StatusMethodNotAllowed, "method-not-allowed")
	if a := s.send(http.MethodOptions, eventsPath, nil); a.status != http.StatusNoContent {
		t.Errorf("OPTIONS: %d", a.status)
	}
	// A body is not read before the client is known.
	s.problem(s.send(http.MethodPost, eventsPath, strings.Repeat("x", 600<<10)), http.StatusUnauthorized, "unauthenticated")
}

// TestServer_Tokens_Secret: neither a token nor a hash shows in a log line, an answer, an event or a metric.
func TestServer_Tokens_Secret(t *testing.T) {
	h := &holders{}
	q := newQuarantine(t, 2)
	s := newServer(t, withLetters(q), withTokens(t, h))
	var seen strings.Builder
	for _, r := range routesByRole {
		for _, secret := range h.secrets {
			for _, header := range []string{"Bearer ", "bearer", "Basic ", ""} {
				a := s.send(r.method, strings.Replace(r.path, "/x", "/L01", 1), `{"reason":"tidy"}`, "Authorization", header+secret)
				fmt.Fprintln(&seen, a.header, string(a.body))
			}
		}
	}
	admin := []string{"Authorization", "Bearer " + h.token["admin"]}
	fmt.Fprintln(&seen, string(s.send(http.MethodGet, eventsPath, nil, admin...).body))
	fmt.Fprintln(&seen, string(s.send(http.MethodGet, "/metrics", nil).body))
	seen.WriteString(s.logs.String())
	for _, secret := range h.secrets {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("a secret shows")
		}
	}
	if log := s.logs.String(); !strings.Contains(log, `"client":"admin-client","address":"127.0.0.1"`) || !strings.Contains(log, `"client":"127.0.0.1"`) {
		t.Error("the log does not name the clients")
	}
	events := s.must(200, s.send(http.MethodGet, eventsPath+"?event_type=datastorage.deadletter.*", nil, admin...))
	rows := events["data"].([]any)
	if len(rows) == 0 {
		t.Fatal("nothing was changed")
	}
	for _, row := range rows {
		row := row.(object)
		if row["actor_type"] != "client" || row["actor_id"] != "admin-client" || row["event_data"].(object)["who"] != "admin-client" {
			t.Errorf("the audit event is %v", row)
		}
	}
}

// TestServer_NoTokens: everything but administration is open; that needs a listener and a request of this machine alone.
func TestServer_NoTokens(t *testing.T) {
	q := newQuarantine(t, 1)
	far := newServer(t, func(c *configuration) { c.DeadLetters = q })
	for _, r := range routesByRole {
		a := far.send(r.method, r.path, nil, "Authorization", "Bearer dst_whatever")
		if r.role == "admin" {
			far.problem(a, http.StatusForbidden, "permission-denied", "auth.tokens_file", "loopback")
		} else if a.status == 401 || a.status == 403 {
			t.Errorf("%s %s: %d", r.method, r.path, a.status)
		}
	}
	near := newServer(t, withLetters(q))
	discard := func(set func(*http.Request)) answer {
		req := near.request(http.MethodPost, lettersPath+"/none/replay", nil)
		set(req)
		return near.do(req)
	}
	for name, set := range map[string]func(*http.Request){
		"a proxy":            func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") },
		"a standard proxy":   func(r *http.Request) { r.Header.Set("Forwarded", "for=10.0.0.1") },
		"another host's URL": func(r *http.Request) { r.Host = "evil.example:8080" },
		"a page":             func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"a page's form":      func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		if a := discard(set); a.status != http.StatusForbidden || !strings.Contains(string(a.body), "auth.tokens_file") {
			t.Errorf("through %s: %d %s", name, a.status, a.body)
		}
	}
	for _, host := range []string{"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"} {
		if a := discard(func(r *http.Request) { r.Host = host }); a.status != http.StatusNotFound {
			t.Errorf("to %s: %d %s", host, a.status, a.body)
		}
	}
}
