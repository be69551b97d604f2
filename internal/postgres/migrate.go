package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// versionTable records which migrations were applied.
	versionTable = "schema_migrations"
	// migrationLock is the key of the advisory lock under which migrations run, one process at a time in a database.
	migrationLock = 0x64617461_73746f72
	// lockPeriod and lockTries bound the wait for another process's migrations: seconds between tries, and their number.
	lockPeriod = 1
	lockTries  = 300
)

// errNewerSchema is wrapped by the refusal of a schema that this binary does not know.
var errNewerSchema = errors.New("the schema of the database is newer than this binary")

// Migrate brings the schema of the database at url up to date. It may run while servers run, several times, and in
// several processes at once: one migrates, the others wait. A schema that is newer than the binary is an error. The
// errors say what to do and never hold the password.
func Migrate(ctx context.Context, url string) error {
	config, err := parseURL(url)
	if err != nil {
		return err
	}
	server, err := inspect(ctx, config)
	if err != nil {
		return err
	}
	if err := server.check(); err != nil {
		return err
	}
	return migrate(ctx, config)
}

func migrate(ctx context.Context, config *pgx.ConnConfig) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDB(*config), files,
		goose.WithTableName(versionTable), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema of the database: %w", err)
	}
	return nil
}

// latestVersion is the version of the schema that this binary knows.
var latestVersion = sync.OnceValue(func() (latest int64) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		panic(err) // the files are part of the binary
	}
	for _, f := range files {
		version, err := goose.NumericComponent(f.Name())
		if err != nil {
			panic(err)
		}
		latest = max(latest, version)
	}
	return latest
})

// schemaVersion reads the version of the database's schema, 0 when it has none.
func schemaVersion(ctx context.Context, conn *pgx.Conn) (version int64, err error) {
	var exists bool
	err = conn.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, versionTable).Scan(&exists)
	if err == nil && exists {
		err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable+` WHERE is_applied`).Scan(&version)
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the schema: %w", err)
	}
	return version, nil
}
