package contracttest

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// CheckRoutes marks the test as failed unless routes, each of the form "POST /api/v1/audit/events", are exactly the
// operations of the contract. How a path parameter is called does not matter.
func CheckRoutes(t testing.TB, routes []string) {
	t.Helper()
	doc, err := load()
	if err != nil {
		t.Fatalf("the contract does not load: %v", err)
	}
	for _, fault := range doc.routeFaults(routes) {
		t.Error(fault)
	}
}

func (d *document) routeFaults(routes []string) []string {
	documented := map[string]string{}
	for _, op := range d.operations {
		route := op.method + " " + op.path
		documented[anonymous(route)] = route
	}
	var faults []string
	served := map[string]bool{}
	for _, route := range routes {
		name := anonymous(route)
		if served[name] {
			faults = append(faults, "route "+route+" is listed twice")
		}
		served[name] = true
		if documented[name] == "" {
			faults = append(faults, "route "+route+" is not in the contract")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		if !served[name] {
			faults = append(faults, "operation "+documented[name]+" of the contract has no route")
		}
	}
	return faults
}

// anonymous takes the names out of path parameters.
func anonymous(route string) string { return strings.Join(segments(route), "/") }
