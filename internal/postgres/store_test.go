package postgres

import (
	"testing"

	"github.com/datastorage-io/datastorage/internal/pgtest"
	"github.com/datastorage-io/datastorage/internal/storetest"
)

// shared is a store whose database others can open too, as replicas do.
type shared struct {
	*Store
	url string
}

func (s shared) Share(t *testing.T) storetest.Store { return openAt(t, s.url) }

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		url := pgtest.New(t)
		return shared{openAt(t, url), url}
	})
}
