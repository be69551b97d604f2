// Package eventtype checks the event_data of events against the JSON Schemas of their types. A Registry is what is known
// about all types at one version of the catalogue: immutable, and the next one is made from it with Add. A Schema is a
// compiled JSON Schema whose cost is bounded: it never reads another document, and it is refused when one value could make
// it work without end. The package knows no database and no HTTP.
package eventtype
