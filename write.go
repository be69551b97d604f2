package datastorage

import "errors"

// Write is what one transaction stores beside the commit row: all of it or nothing.
type Write struct {
	// Records are the events, in log order.
	Records []*Record
	// Notifications are the notification records whose events are among Records. The store fills in their ID.
	Notifications []*Notification
	// Changes are changes of the catalogue, in order of their Version, whose events are among Records.
	Changes []*CatalogChange
}

// ErrCatalogMoved says that a change of the catalogue does not follow the last one that is stored, or claims a key that
// is taken: someone else was first. Nothing was stored; load the changes that are new and decide again.
var ErrCatalogMoved = errors.New("the catalogue has changed meanwhile")
