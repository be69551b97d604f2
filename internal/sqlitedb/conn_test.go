package sqlitedb

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestConn_StatementsAreBounded(t *testing.T) {
	c := NewConn(DSN(filepath.Join(t.TempDir(), "file.db"), 1<<10))
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxStatements {
		if _, err := c.Exec(t.Context(), "SELECT "+strings.Repeat("1 + ", i)+"1"); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.statements) > maxStatements {
		t.Errorf("%d statements are kept", len(c.statements))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
