package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestQueue_Replica(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	replica := func(dir string) (uuid.UUID, error) {
		q, err := Open(t.Context(), dir, Options{MaxBytes: MinBytes})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		return q.Replica()
	}
	first, err := replica(dir)
	if err != nil || first == uuid.Nil {
		t.Fatalf("%s, %v", first, err)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if again, err := replica(moved); err != nil || again != first {
		t.Errorf("after a move it is %s, %v; before it was %s", again, err, first)
	}
	if other, err := replica(t.TempDir()); err != nil || other == first {
		t.Errorf("another queue has %s, %v", other, err)
	}
	file := filepath.Join(moved, ReplicaName)
	if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := replica(moved); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a damaged file: %v", err)
	}
}
