package datastorage

// Write is what one transaction stores beside the commit row: all of it or nothing.
type Write struct {
	// Records are the events, in log order.
	Records []*Record
	// Notifications are the notification records whose events are among Records. The store fills in their ID.
	Notifications []*Notification
	// Changes are changes of the catalogue, in order of their Version, whose events are among Records.
	Changes []*CatalogChange
}
