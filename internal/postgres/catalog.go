package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage"
)

const selectCatalogVersion = `SELECT coalesce(max(version), 0) FROM catalog_changes`

// CatalogVersion implements catalog.Store.
func (s *Store) CatalogVersion(ctx context.Context) (version int64, err error) {
	err = s.lookup(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, selectCatalogVersion).Scan(&version)
	})
	return version, err
}

const selectChanges = `SELECT version, changed_at, kind, workflow_id, key, document FROM catalog_changes ` +
	`WHERE version > $1 ORDER BY version LIMIT $2`

// Changes implements catalog.Store.
func (s *Store) Changes(ctx context.Context, after int64, limit int) (changes []*datastorage.CatalogChange, err error) {
	err = s.lookup(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, selectChanges, after, limit)
		if err != nil {
			return err
		}
		changes, err = pgx.CollectRows(rows, scanChange)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

// scanChange reads a row of selectChanges.
func scanChange(row pgx.CollectableRow) (*datastorage.CatalogChange, error) {
	var (
		c        datastorage.CatalogChange
		at       time.Time
		workflow *[16]byte
		key      []byte
	)
	if err := row.Scan(&c.Version, &at, &c.Kind, &workflow, &key, &c.Document); err != nil {
		return nil, err
	}
	c.Time, c.Key = at.UTC(), string(key)
	if workflow != nil {
		c.WorkflowID = uuid.UUID(*workflow)
	}
	return &c, nil
}
