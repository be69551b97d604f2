// Package pgtest starts a real PostgreSQL for tests and benchmarks. Nobody has to install or run a service: the
// package finds the binaries, runs initdb in a temporary directory, and removes everything when the process ends,
// however it ends.
//
// A test package that needs a database calls Main from TestMain and New from each test:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, postgres.Migrate)) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		url := pgtest.New(t)
//		…
//	}
//
// One server is shared by the whole test process and started by the first call of New. It runs without fsync, so it is
// useless for tests of durability: those, and benchmarks, start a server of their own with Start or Launch.
package pgtest
