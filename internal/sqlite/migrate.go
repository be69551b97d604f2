package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// migrations are the steps of the schema, forward only, each in a transaction of its own; projectionMigrations are those
// of the file of projections.
var (
	//go:embed migrations/*.sql
	migrations embed.FS
	//go:embed projections/*.sql
	projectionMigrations embed.FS
)

// migrate brings the schema of a file up to date, with the steps in a directory of files. It refuses a schema that is
// newer than this program's. The caller keeps other processes out.
func migrate(ctx context.Context, path string, files embed.FS, dir string) (err error) {
	db, err := sql.Open("sqlite", sqlitedb.DSN(path, writerCache,
		fmt.Sprintf("page_size(%d)", sqlitedb.PageSize), "journal_mode(WAL)", "synchronous(FULL)"))
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	steps, err := fs.Sub(files, dir)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, steps,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName("schema_version"))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of %s: %w", path, err)
	}
	if current > target {
		return fmt.Errorf("the database %s has schema version %d, but this program knows only up to %d: "+
			"use a newer datastorage", path, current, target)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema of %s up to date: %w", path, err)
	}
	return nil
}
