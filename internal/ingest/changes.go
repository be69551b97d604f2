package ingest

import (
	"context"
	"errors"

	"github.com/datastorage-io/datastorage"
)

// WriteChanges stores changes of the catalogue together with the events that record them, all or nothing; events without
// an ID get one. Nothing of it ever goes to the dead-letter queue: a change that waits would not be seen by the next.
// Errors: datastorage.ErrCatalogMoved, nothing was stored; a *datastorage.Error with CodeUnavailable when the store does
// not take it, or did not answer in time and may have.
func (s *Service) WriteChanges(ctx context.Context, events []datastorage.Event, changes []*datastorage.CatalogChange) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	b := newBatch(events)
	if err := b.identify(); err != nil {
		return err
	}
	records, _ := b.records()
	_, err := s.committer.submit(ctx, datastorage.Write{Records: records, Changes: changes})
	if errors.Is(err, errTaken) {
		return datastorage.Unavailable(err, "the server made an identifier that is taken; try again")
	}
	return err
}
