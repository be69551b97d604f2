// Package bench puts load on a DataStorage server and measures it.
//
// The load is closed-loop: each of a number of clients sends a request, waits
// for the answer, and sends the next. Options say what is sent, Prepare looks
// at the server and builds the requests, and Workload.Run measures; it can be
// called again and again. The CPU time of the server is read from its metrics,
// that of PostgreSQL from /proc when it runs on the same Linux machine.
package bench

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Scenario says what one request of a load is.
type Scenario string

// The scenarios.
const (
	Single      Scenario = "single"      // POST one event
	Batch       Scenario = "batch"       // POST Options.Batch events
	Correlation Scenario = "correlation" // GET the events of one correlation
	List        Scenario = "list"        // GET a page of one event type in a time range
	Page        Scenario = "page"        // GET page 1 and, by cursor, page Options.Page, in turn
	Search      Scenario = "search"      // POST a search for workflows
)

// Scenarios lists all scenarios.
var Scenarios = []Scenario{Single, Batch, Correlation, List, Page, Search}

// writes reports whether the scenario stores events.
func (s Scenario) writes() bool { return s == Single || s == Batch }

// Options describe one load. Zero values are not defaults: start from
// DefaultOptions.
type Options struct {
	// URL is the server's base URL, http or https.
	URL      string
	Scenario Scenario
	// Clients is how many requests are under way at any time, 1 to 10 000.
	Clients int
	// Batch is the number of events in a request of the batch scenario, 1 to 1000.
	Batch int
	// Warmup is loaded but not counted; Duration is what is measured after it.
	Warmup, Duration time.Duration
	// Requests ends the measurement after so many requests, split evenly among
	// the clients, instead of after Duration. 0 goes by Duration.
	Requests int
	// EventSize is the length of the JSON of every event in bytes,
	// MinEventSize to MaxEventSize.
	EventSize int
	// HotCorrelation puts all events on one correlation_id, else 20 share one.
	HotCorrelation bool
	// WithIDs sends an event_id with every event.
	WithIDs bool
	// Since is the start of the time range of the list scenario, as the API takes it.
	Since string
	// Limit is the page size of the list and page scenarios, 1 to 1000.
	Limit int
	// Page is how deep the page scenario walks: at least 2, and less when the
	// events do not fill so many pages.
	Page int
	// Timeout bounds one request.
	Timeout time.Duration
	// Seed makes the content repeatable.
	Seed uint64
	// DatabaseURL is where PostgreSQL is asked for the process to measure; empty
	// measures none.
	DatabaseURL string
}

// eventsPerCorrelation is how many events share a correlation_id unless one takes all.
const eventsPerCorrelation = 20

// DefaultOptions are 64 clients that post single events of 1000 bytes for ten
// seconds to a server on its default address.
func DefaultOptions() Options {
	return Options{
		URL:       "http://127.0.0.1:8080",
		Scenario:  Single,
		Clients:   64,
		Batch:     1,
		Warmup:    time.Second,
		Duration:  10 * time.Second,
		EventSize: 1000,
		Since:     "24h",
		Limit:     50,
		Page:      1000,
		Timeout:   10 * time.Second,
	}
}

// Validate names every option that is out of its range.
func (o Options) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	between := func(name string, v, low, high int) {
		check(v >= low && v <= high, "%s must be between %d and %d, not %d", name, low, high, v)
	}
	if _, err := parseEndpoint(o.URL); err != nil {
		faults = append(faults, err)
	}
	if !slices.Contains(Scenarios, o.Scenario) {
		names := make([]string, len(Scenarios))
		for i, s := range Scenarios {
			names[i] = string(s)
		}
		faults = append(faults, fmt.Errorf("scenario must be one of %s, not %q", strings.Join(names, ", "), o.Scenario))
	}
	between("clients", o.Clients, 1, 10_000)
	between("batch", o.Batch, 1, 1000)
	between("event-size", o.EventSize, MinEventSize, MaxEventSize)
	between("limit", o.Limit, 1, 1000)
	check(o.Batch == 1 || o.Scenario != Single, "batch must be 1 in the single scenario, not %d", o.Batch)
	check(o.Page >= 2, "page must be at least 2, not %d", o.Page)
	check(o.Requests >= 0, "requests must be at least 0, not %d", o.Requests)
	check(o.Duration > 0 || o.Requests > 0, "duration must be above 0, not %v", o.Duration)
	check(o.Warmup >= 0, "warmup must be at least 0, not %v", o.Warmup)
	check(o.Timeout > 0, "timeout must be above 0, not %v", o.Timeout)
	return errors.Join(faults...)
}

// method and status of what the scenario sends and expects.
func (o Options) method() string {
	if o.Scenario.writes() || o.Scenario == Search {
		return http.MethodPost
	}
	return http.MethodGet
}

func (o Options) status() int {
	if o.Scenario.writes() {
		return http.StatusCreated
	}
	return http.StatusOK
}
