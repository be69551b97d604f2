package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// insertChange stores a change if the one before it is there. If not, changed_at is NULL, which the table refuses; a NULL
// in the place of version would count up by itself.
const insertChange = `INSERT INTO catalog_changes (version, changed_at, kind, workflow_id, key, document) VALUES (?1, ` +
	`CASE WHEN ?1 = 1 OR EXISTS (SELECT 1 FROM catalog_changes WHERE version = ?1 - 1) THEN ?2 END, ?3, ?4, ?5, ?6)`

func (c *conn) insertChanges(ctx context.Context, changes []*datastorage.CatalogChange) error {
	for _, change := range changes {
		var workflow, key any
		if change.WorkflowID != uuid.Nil {
			workflow = change.WorkflowID[:]
		}
		if change.Key != "" {
			key = []byte(change.Key)
		}
		_, err := c.Exec(ctx, insertChange, change.Version, change.Time.UnixMicro(), string(change.Kind), workflow, key,
			string(change.Document))
		if sqlitedb.IsTaken(err) || sqlitedb.IsNotNull(err) {
			return &contentError{datastorage.ErrCatalogMoved}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const selectCatalogVersion = `SELECT max(version) FROM catalog_changes`

// CatalogVersion implements catalog.Store.
func (s *Store) CatalogVersion(ctx context.Context) (version int64, err error) {
	err = s.lookup(ctx, func(c *conn) error {
		return c.Query(ctx, selectCatalogVersion, nil, func(row []driver.Value) error {
			version, _ = row[0].(int64)
			return nil
		})
	})
	return version, err
}

const selectChanges = `SELECT version, changed_at, kind, workflow_id, key, document FROM catalog_changes ` +
	`WHERE version > ? ORDER BY version LIMIT ?`

// Changes implements catalog.Store.
func (s *Store) Changes(ctx context.Context, after int64, limit int) (changes []*datastorage.CatalogChange, err error) {
	err = s.lookup(ctx, func(c *conn) error {
		return c.Query(ctx, selectChanges, []any{after, int64(limit)}, func(row []driver.Value) error {
			change := &datastorage.CatalogChange{
				Version: row[0].(int64), Time: sqlitedb.Micros(row[1]), Kind: datastorage.CatalogChangeKind(sqlitedb.Text(row[2])),
				Key: string(sqlitedb.Blob(row[4])), Document: []byte(sqlitedb.Text(row[5])),
			}
			copy(change.WorkflowID[:], sqlitedb.Blob(row[3]))
			changes = append(changes, change)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}
