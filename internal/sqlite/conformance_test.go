package sqlite

import (
	"testing"

	"github.com/datastorage-io/datastorage/internal/storetest"
)

// shared is a store whose directory can be opened again.
type shared struct {
	*Store
	dir string
}

func (s *shared) Share(t *testing.T) storetest.Store { return openAt(t, s.dir) }

// openAt opens a store on a directory and closes it at the end of the test.
func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{Readers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		dir := t.TempDir()
		return &shared{openAt(t, dir), dir}
	})
}
