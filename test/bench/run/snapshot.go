package main

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
)

// holdSnapshot does what pg_dump does for as long as it runs: one transaction
// at REPEATABLE READ with a snapshot and a shared lock on every table. The
// function that it returns ends it.
func holdSnapshot(ctx context.Context, url string) (release func() error, err error) {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	end := func() error { return db.Close(context.WithoutCancel(ctx)) }
	defer func() {
		if err != nil {
			release, err = nil, errors.Join(err, end())
		}
	}()
	if _, err := db.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, err
	}
	rows, err := db.Query(ctx, `SELECT format('%I.%I', n.nspname, c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return nil, errors.New("there is no table to hold a snapshot of")
	}
	_, err = db.Exec(ctx, "LOCK TABLE "+strings.Join(tables, ", ")+" IN ACCESS SHARE MODE")
	return end, err
}
