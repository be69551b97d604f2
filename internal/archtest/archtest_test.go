// Package archtest holds the directions in which the packages of this module may import each other, each with its reason,
// and fails when one is broken. The direction as a whole: cmd → internal → client, ledger → root → standard library.
package archtest

import (
	"slices"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	t.Parallel()
	g, err := loadGraph("../..")
	if err != nil {
		t.Fatal(err)
	}
	if g[root].name != "datastorage" {
		t.Fatalf("root package is named %q, want datastorage: is the module's root two levels up?", g[root].name)
	}
	for _, breach := range check(g, rules) {
		t.Error(breach)
	}
}

// TestCheck breaks each rule in a made-up module: a rule that cannot fail is no rule.
func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		graph graph
		want  []string // the beginning of each finding, in order; none for a sound graph
	}{
		{"sound", graph{
			root:                  {name: "datastorage", imports: []string{"fmt", "github.com/google/uuid", "github.com/go-json-experiment/json/jsontext"}},
			"./ledger":            {name: "ledger", imports: []string{"crypto/sha256", "./.", "github.com/transparency-dev/merkle/rfc6962"}},
			"./client":            {name: "client", imports: []string{"net/http", "./."}},
			"./internal/ingest":   {name: "ingest", imports: []string{"./.", "./ledger"}},
			"./internal/sqlite":   {name: "sqlite", imports: []string{"./ledger", "database/sql", "modernc.org/sqlite"}, testImports: []string{"./internal/storetest", "testing"}},
			"./internal/httpapi":  {name: "httpapi", imports: []string{"./internal/ingest", "net/http"}, testImports: []string{"./internal/sqlite"}},
			"./cmd/datastorage":   {name: "main", imports: []string{"./internal/httpapi", "./internal/sqlite"}},
			"./test/bench/floor":  {name: "main", imports: []string{"github.com/jackc/pgx/v5"}},
			"./internal/commonly": {name: "commonly"},
		}, nil},
		{"root with a foreign module", graph{root: {imports: []string{"github.com/spf13/cobra"}}}, []string{"./. imports github.com/spf13/cobra: "}},
		{"root with a package of ours", graph{root: {imports: []string{"./ledger"}}, "./ledger": {}}, []string{"./. imports ./ledger: "}},
		{"root with SQL", graph{root: {imports: []string{"database/sql/driver"}}}, []string{"./. imports database/sql/driver: "}},
		{"root's tests with HTTP", graph{root: {testImports: []string{"net/http/httptest"}}}, []string{"./. imports net/http/httptest: "}},
		{"ledger with internal", graph{"./ledger": {imports: []string{"./internal/config"}}}, []string{"./ledger imports ./internal/config: "}},
		{"ledger with HTTP", graph{"./ledger": {imports: []string{"net/http"}}}, []string{"./ledger imports net/http: "}},
		{"client with the server, indirectly", graph{
			"./client": {imports: []string{"./ledger"}}, "./ledger": {imports: []string{"./."}}, root: {imports: []string{"./internal/config"}},
		}, []string{"./. imports ./internal/config: ", "./client imports ./ledger imports ./. imports ./internal/config: "}},
		{"sqlite with postgres", graph{"./internal/sqlite": {imports: []string{"./internal/postgres"}}}, []string{"./internal/sqlite imports ./internal/postgres: "}},
		{"postgres with sqlite", graph{"./internal/postgres": {imports: []string{"./internal/sqlite"}}}, []string{"./internal/postgres imports ./internal/sqlite: "}},
		{"store with ingest, indirectly", graph{
			"./internal/postgres": {imports: []string{"./internal/importer"}}, "./internal/importer": {imports: []string{"./internal/ingest"}},
		}, []string{"./internal/postgres imports ./internal/importer imports ./internal/ingest: "}},
		{"store with HTTP", graph{"./internal/sqlite": {imports: []string{"net/http"}}}, []string{"./internal/sqlite imports net/http: "}},
		{"edge with a store", graph{"./internal/httpapi": {imports: []string{"./internal/sqlite"}}}, []string{"./internal/httpapi imports ./internal/sqlite: "}},
		{"driver at the edge", graph{"./internal/httpapi": {imports: []string{"github.com/jackc/pgx/v5/pgconn"}}}, []string{"./internal/httpapi imports github.com/jackc/pgx/v5/pgconn: "}},
		{"edge with connections", graph{"./internal/httpapi": {imports: []string{"./internal/sqlitedb"}}}, []string{"./internal/httpapi imports ./internal/sqlitedb: "}},
		{"test with the command", graph{"./test/e2e": {testImports: []string{"./cmd/datastorage"}}}, []string{"./test/e2e imports ./cmd/datastorage: "}},
		{"binary with test code", graph{"./internal/httpapi": {imports: []string{"testing"}}}, []string{"./internal/httpapi imports testing: "}},
		{"unit test with the system's", graph{"./internal/ingest": {testImports: []string{"./test/e2e"}}}, []string{"./internal/ingest imports ./test/e2e: "}},
		{"directory name", graph{"./internal/helpers": {name: "assist"}}, []string{"./internal/helpers is named helpers: "}},
		{"package name", graph{"./internal/event": {name: "models"}}, []string{"./internal/event is named models: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := check(tt.graph, rules)
			if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("check found:\n%s\nwant lines that begin with:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestLoadGraph(t *testing.T) {
	t.Parallel()
	g, err := loadGraph("../..")
	if err != nil {
		t.Fatal(err)
	}
	self := g["./internal/archtest"]
	if self.name != "archtest" || len(self.imports) != 0 || !slices.Contains(self.testImports, "go/parser") {
		t.Errorf("this package was read as %+v", self)
	}
	if _, found := g["./tools"]; found {
		t.Error("tools is a module of its own and must not be read")
	}
}
