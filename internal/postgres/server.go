package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// minVersion is the oldest server_version_num that DataStorage runs on, minRelease the same for people.
	minVersion = 150000
	minRelease = "15"
	// transactionTimeoutVersion is the first server_version_num with the setting transaction_timeout.
	transactionTimeoutVersion = 170000
)

// Durability are settings of the server. With one of them off, a crash of its machine can lose acknowledged events.
type Durability struct {
	Fsync          bool
	FullPageWrites bool
}

// Warning returns a sentence for the log and for /health, "" when nothing is wrong.
func (d Durability) Warning() string {
	const consequence = " is off in PostgreSQL: a crash of its machine can lose or corrupt acknowledged events"
	switch {
	case !d.Fsync:
		return "fsync" + consequence
	case !d.FullPageWrites:
		return "full_page_writes" + consequence
	}
	return ""
}

// server is what is known about a database before it is used.
type server struct {
	version    int    // server_version_num
	release    string // server_version
	schema     int64  // version of the schema, 0 when there is none
	pooled     bool   // a transaction-pooling proxy stands before it
	durability Durability
}

// inspect connects and looks around. It changes nothing.
func inspect(ctx context.Context, config *pgx.ConnConfig) (*server, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, startError(config, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s := &server{}
	// A proxy that pools transactions breaks everything but the simple protocol.
	if s.pooled, err = isTransactionPooled(ctx, config, conn.PgConn()); err != nil || s.pooled {
		return s, err
	}
	var fsync, pages string
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'), `+
		`current_setting('fsync'), current_setting('full_page_writes')`).Scan(&s.version, &s.release, &fsync, &pages)
	if err != nil {
		return nil, startError(config, err)
	}
	s.durability = Durability{Fsync: fsync == "on", FullPageWrites: pages == "on"}
	if s.schema, err = schemaVersion(ctx, conn); err != nil {
		return nil, err
	}
	return s, nil
}

// check refuses a server that cannot be used.
func (s *server) check() error {
	switch {
	case s.pooled:
		return errors.New("a proxy that pools transactions (such as PgBouncer with pool_mode = transaction) stands before " +
			"PostgreSQL: DataStorage needs sessions of its own; connect to PostgreSQL directly or set pool_mode = session")
	case s.version < minVersion:
		return fmt.Errorf("PostgreSQL %s is too old: DataStorage needs version %s or newer", s.release, minRelease)
	case s.schema > latestVersion():
		return fmt.Errorf("%w: it has version %d, and this binary knows versions up to %d; run a newer datastorage",
			errNewerSchema, s.schema, latestVersion())
	}
	return nil
}

// checkMigrated refuses a schema that is older than this binary's.
func (s *server) checkMigrated() error {
	if s.schema == latestVersion() {
		return nil
	}
	return fmt.Errorf("the schema of the database has version %d, and this binary needs version %d: run datastorage migrate",
		s.schema, latestVersion())
}

// isTransactionPooled reports whether the sessions of the connection are not its own. A proxy gives itself away by the
// process id that it invents for the protocol. If it also hands the backend of one idle connection to another, or
// changes it under a connection, then it pools transactions.
func isTransactionPooled(ctx context.Context, config *pgx.ConnConfig, first *pgconn.PgConn) (bool, error) {
	backend, err := backendPID(ctx, first, "")
	if err != nil {
		return false, startError(config, err)
	}
	if backend == fmt.Sprint(first.PID()) {
		return false, nil
	}
	second, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return false, startError(config, err)
	}
	defer func() { _ = second.Close(context.WithoutCancel(ctx)) }()
	// The open transaction of the second connection keeps the backend it got.
	other, err := backendPID(ctx, second, "BEGIN;")
	if err != nil {
		return false, startError(config, err)
	}
	if other == backend {
		return true, nil
	}
	again, err := backendPID(ctx, first, "")
	if err != nil {
		return false, startError(config, err)
	}
	return again != backend, nil
}

func backendPID(ctx context.Context, conn *pgconn.PgConn, before string) (string, error) {
	results, err := conn.Exec(ctx, before+"SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return "", err
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 || len(last.Rows[0]) != 1 {
		return "", errors.New("pg_backend_pid returned no row")
	}
	return string(last.Rows[0][0]), nil
}
