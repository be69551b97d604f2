package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/datastorage-io/datastorage/internal/sqlitedb"
)

// Setting reads what PutSetting stored under a name; ok is false when there is nothing.
func (s *Store) Setting(ctx context.Context, name string) (value []byte, ok bool, err error) {
	err = s.lookup(ctx, func(c *conn) error {
		value, ok, err = c.setting(ctx, name)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return value, ok, nil
}

func (c *conn) setting(ctx context.Context, name string) (value []byte, ok bool, err error) {
	err = c.Query(ctx, `SELECT value FROM settings WHERE name = ?`, []any{name}, func(row []driver.Value) error {
		value, ok = append([]byte{}, sqlitedb.Blob(row[0])...), true
		return nil
	})
	return value, ok, err
}

// PutSetting stores a value under a name that has none, durably, and returns what is stored under it then: value, or
// what was there before. The error has CodeUnavailable; nothing was changed then, unless the disk failed meanwhile.
func (s *Store) PutSetting(ctx context.Context, name string, value []byte) (stored []byte, err error) {
	if value == nil {
		value = []byte{}
	}
	err = use(ctx, s.writer, func(c *conn) error {
		return c.Transaction(ctx, "BEGIN IMMEDIATE", func() error {
			uninterrupted := context.WithoutCancel(ctx)
			_, err := c.Exec(uninterrupted,
				`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, name, value)
			if err == nil {
				stored, _, err = c.setting(uninterrupted, name)
			}
			return err
		})
	})
	if err != nil {
		return nil, writeError(err)
	}
	return stored, nil
}
