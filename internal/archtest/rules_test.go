package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// rule binds the packages in from, those in except apart. Packages and imports are given as prefixes, see within.
type rule struct {
	reason string
	from   []string
	except []string

	only  []string // every import lies within these; nil allows all
	never []string // no import lies within these
	reach []string // no import lies within these, and none of a package that it leads to

	// tests makes only and never bind test files too. reach looks at non-test code alone.
	tests bool
}

const storesStandAlone = "a store keeps and finds events; who asks for them and how they arrive is not its business, " +
	"and the two stores stay alike only when neither leans on the other"

var rules = []rule{
	{
		reason: "the root package is the domain: every other package and every user of the Go API imports it, so it must cost nothing and know neither SQL nor HTTP",
		from:   []string{root},
		only:   []string{"std", "github.com/go-json-experiment/json", "github.com/google/uuid"},
	},
	{
		reason: "the domain knows neither SQL nor HTTP: a status code or a query in it would tie every store and every client to one edge",
		from:   []string{root},
		never:  []string{"database/sql", "net/http"},
		tests:  true,
	},
	{
		reason: "the ledger is verified by people who do not trust this server: it stands on the domain, published log formats and hashing alone",
		from:   []string{"./ledger"},
		only: []string{
			"std", root, "./ledger", "github.com/google/uuid", "github.com/go-json-experiment/json",
			"golang.org/x/crypto", "golang.org/x/mod/sumdb",
			"github.com/transparency-dev/merkle", "github.com/transparency-dev/formats",
		},
	},
	{
		reason: "verification needs no database and no network",
		from:   []string{"./ledger"},
		never:  []string{"database/sql", "net/http"},
	},
	{
		reason: "producers link the client into their own programs: nothing of the server may come with it",
		from:   []string{"./client", "./api"},
		reach:  []string{"./internal", "./cmd", "./test"},
	},
	{
		reason: storesStandAlone,
		from:   []string{"./internal/sqlite"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/postgres"},
	},
	{
		reason: storesStandAlone,
		from:   []string{"./internal/postgres"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/sqlite"},
	},
	{
		reason: "the catalogue is searched in memory and changed through two small interfaces: it knows neither how it is stored nor who asks",
		from:   []string{"./internal/catalog"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/sqlite", "./internal/postgres"},
	},
	{
		reason: "a projection is derived from the log through project.Log and project.Tx alone: it knows neither store, and not who reads it",
		from:   []string{"./internal/project", "./internal/outcome", "./internal/remediation"},
		except: []string{"./internal/project/projecttest"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/sqlite", "./internal/postgres"},
	},
	{
		reason: "what happened is told from events as story.Source gives them: it knows neither store, and not who asks",
		from:   []string{"./internal/story"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/sqlite", "./internal/postgres"},
	},
	{
		reason: "who follows the log sees it through tail.Log, and the stream through tail.Session: neither store nor HTTP",
		from:   []string{"./internal/tail"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/sqlite", "./internal/postgres"},
	},
	{
		reason: "schemas are checked at the edge, by the command line and by the catalogue that keeps them: one library, behind one package that bounds it",
		from:   []string{"..."},
		except: []string{"./internal/eventtype", "./internal/contracttest", "./api"},
		never:  []string{"github.com/santhosh-tekuri/jsonschema"},
		tests:  true,
	},
	{
		reason: "the registry of event types is part of the catalogue's snapshot: it knows neither how it is stored nor who asks",
		from:   []string{"./internal/eventtype"},
		reach:  []string{"./internal/httpapi", "./internal/ingest", "./internal/sqlite", "./internal/postgres", "./internal/catalog"},
	},
	{
		reason: "stores know nothing of HTTP: they return typed errors, and the edge turns them into answers",
		from:   []string{"./internal/sqlite", "./internal/postgres", "./internal/storetest", "./internal/ingest"},
		never:  []string{"net/http"},
	},
	{
		reason: "everything but the command sees a store through the interface that it declares itself, so that both stores serve all of it",
		from:   []string{"..."},
		except: []string{"./cmd", "./internal/sqlite", "./internal/postgres", "./internal/pgtest", "./internal/project/projecttest", "./test"},
		never:  []string{"./internal/sqlite", "./internal/postgres"},
	},
	{
		// internal/bench looks at a PostgreSQL under load from outside, to find its processes.
		reason: "a database driver outside its store is SQL outside its store",
		from:   []string{"..."},
		except: []string{
			"./internal/sqlite", "./internal/sqlitedb", "./internal/postgres", "./internal/pgtest", "./internal/deadletter", "./internal/bench", "./test",
		},
		never: []string{"github.com/jackc/pgx", "modernc.org/sqlite", "github.com/pressly/goose"},
	},
	{
		reason: "connections are shared below the packages that own a file; who else held one would write SQL outside its store",
		from:   []string{"..."},
		except: []string{"./internal/sqlite", "./internal/sqlitedb", "./internal/deadletter/disk"},
		never:  []string{"./internal/sqlitedb"},
	},
	{
		reason: "the dead-letter queue alone uses Redis; who else did would need the guarantees that it checks at start",
		from:   []string{"..."},
		except: []string{"./internal/deadletter/redisqueue"},
		never:  []string{"github.com/redis/go-redis"},
		tests:  true,
	},
	{
		reason: "the command is the top: what two packages need stands below both",
		from:   []string{"..."},
		except: []string{"./cmd"},
		never:  []string{"./cmd"},
		tests:  true,
	},
	{
		reason: "the binary carries no test code",
		from:   []string{"..."},
		except: []string{
			"./internal/storetest", "./internal/audittest", "./internal/pgtest", "./internal/redistest", "./internal/contracttest",
			"./internal/deadletter/queuetest", "./internal/catalog/catalogtest", "./internal/project/projecttest", "./internal/ssetest", "./test",
		},
		never: []string{
			"testing", "./internal/storetest", "./internal/audittest", "./internal/pgtest", "./internal/redistest", "./internal/contracttest", "./internal/archtest",
			"./internal/deadletter/queuetest", "./internal/catalog/catalogtest", "./internal/project/projecttest", "./internal/ssetest", "./test",
			"github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/rogpeppe/go-internal",
			"github.com/getkin/kin-openapi",
		},
	},
	{
		reason: "tests of a package stand below those of the system",
		from:   []string{"./internal", "./ledger", "./client", root},
		never:  []string{"./test"},
		tests:  true,
	},
}

// badNames say where code was put, not what it does; such packages grow without end.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "type", "types", "shared", "misc", "base"}

// check returns what breaks a rule, one line each with the rule's reason, in the order of rules, then of packages.
func check(g graph, rules []rule) []string {
	var found []string
	for _, r := range rules {
		for _, dir := range g.sorted() {
			if r.binds(dir) {
				found = append(found, r.breaches(g, dir)...)
			}
		}
	}
	return append(found, checkNames(g)...)
}

// binds reports whether the package must obey the rule. The root package is the prefix of no other.
func (r rule) binds(dir string) bool {
	return within(dir, r.from...) && !within(dir, r.except...)
}

func (r rule) breaches(g graph, dir string) []string {
	var found []string
	imports := g[dir].imports
	if r.tests {
		imports = slices.Concat(imports, g[dir].testImports)
	}
	for _, imported := range imports {
		outside := r.only != nil && !within(imported, r.only...)
		if outside || within(imported, r.never...) {
			found = append(found, fmt.Sprintf("%s imports %s: %s", dir, imported, r.reason))
		}
	}
	if len(r.reach) > 0 {
		chain := g.pathTo(dir, func(imported string) bool { return within(imported, r.reach...) })
		if chain != nil {
			found = append(found, fmt.Sprintf("%s: %s", strings.Join(chain, " imports "), r.reason))
		}
	}
	return found
}

func checkNames(g graph) []string {
	var found []string
	for _, dir := range g.sorted() {
		for _, name := range []string{g[dir].name, path.Base(dir)} {
			if slices.Contains(badNames, name) {
				found = append(found, fmt.Sprintf("%s is named %s: a package is named after what it does", dir, name))
				break
			}
		}
	}
	return found
}
