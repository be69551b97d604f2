package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"
)

const (
	eventsPath = "/api/v1/audit/events"
	batchPath  = eventsPath + "/batch"
)

// Workload is a load that is ready to run.
type Workload struct {
	options  Options
	endpoint endpoint
	events   *Events // what the scenarios that write send
	queries  []query // what the others send
	series   []string
}

// query is one prepared request of a scenario that reads.
type query struct {
	request       []byte
	series        int
	correlationID string // what every event of the answer must have, "" when anything
	eventType     string // likewise
}

// Prepare checks the options, looks at the server where the scenario reads
// what is stored, and builds the requests. The page scenario walks to its page
// here, once. It needs stored events, or workflows, for the scenarios that read.
func Prepare(ctx context.Context, options Options) (*Workload, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	e, err := parseEndpoint(options.URL)
	if err != nil {
		return nil, err
	}
	w := &Workload{options: options, endpoint: e, series: []string{string(options.Scenario)}}
	if options.Scenario.writes() {
		w.events, err = NewEvents(EventOptions{
			Size:           options.EventSize,
			WithIDs:        options.WithIDs,
			HotCorrelation: options.HotCorrelation,
			PerCorrelation: eventsPerCorrelation,
			Seed:           options.Seed,
		})
		return w, err
	}
	b := &browser{base: options.URL, timeout: options.Timeout}
	defer b.close()
	switch options.Scenario {
	case Correlation:
		err = w.prepareCorrelations(ctx, b)
	case List:
		err = w.prepareLists(ctx, b)
	case Search:
		err = w.prepareSearches(ctx, b)
	default:
		err = w.preparePages(ctx, b)
	}
	return w, err
}

func (w *Workload) prepareCorrelations(ctx context.Context, b *browser) error {
	ids, err := b.correlations(ctx, rand.New(rand.NewPCG(w.options.Seed, 1)))
	for _, id := range ids {
		q := w.get(url.Values{"correlation_id": {id}}, 0)
		q.correlationID = id
		w.queries = append(w.queries, q)
	}
	return err
}

func (w *Workload) prepareLists(ctx context.Context, b *browser) error {
	types, err := b.eventTypes(ctx, w.options.Since)
	for _, eventType := range types {
		q := w.get(url.Values{"event_type": {eventType}, "since": {w.options.Since}, "limit": {strconv.Itoa(w.options.Limit)}}, 0)
		q.eventType = eventType
		w.queries = append(w.queries, q)
	}
	return err
}

func (w *Workload) preparePages(ctx context.Context, b *browser) error {
	cursor, depth, err := b.walk(ctx, w.options.Limit, w.options.Page)
	if err != nil {
		return err
	}
	w.series = []string{"page 1", "page " + strconv.Itoa(depth)}
	// Page 1 is asked for without a total, which a page by cursor has none of.
	w.queries = []query{
		w.get(url.Values{"limit": {strconv.Itoa(w.options.Limit)}, "count": {"none"}}, 0),
		w.get(url.Values{"limit": {strconv.Itoa(w.options.Limit)}, "cursor": {cursor}}, 1),
	}
	return nil
}

func (w *Workload) get(parameters url.Values, series int) query {
	return query{request: w.endpoint.request(w.options.method(), eventsPath+"?"+parameters.Encode(), 0), series: series}
}

// source makes the requests of one client and checks what comes back.
type source interface {
	// next returns the bytes of the next request, valid until the next call,
	// and the series that its latency belongs to.
	next(now time.Time) (request []byte, series int)
	// events returns how many events, or workflows, a good answer to the last request holds.
	events(body []byte) int
	// check looks closely at a good answer to the last request.
	check(body []byte) error
}

// source returns the source of one client.
func (w *Workload) source(client int) source {
	if w.events == nil {
		rng := rand.New(rand.NewPCG(w.options.Seed, uint64(client)+1))
		if w.options.Scenario == Search {
			return newSearcher(w.queries, rng)
		}
		return &reader{queries: w.queries, rng: rng, at: client % len(w.queries), inTurn: w.options.Scenario == Page}
	}
	o := w.options
	s := &writer{generator: w.events.Generator(client), count: 1}
	if o.Scenario == Single {
		s.buffer = w.endpoint.request(o.method(), eventsPath, o.EventSize)
	} else {
		s.batch, s.count = true, o.Batch
		s.buffer = w.endpoint.request(o.method(), batchPath, 1+o.Batch*(o.EventSize+1))
	}
	s.head = len(s.buffer)
	return s
}

// writer sends new events.
type writer struct {
	generator *Generator
	buffer    []byte
	head      int // length of the request's head in buffer, which stays
	batch     bool
	count     int
}

func (s *writer) next(now time.Time) ([]byte, int) {
	s.buffer = s.buffer[:s.head]
	if !s.batch {
		s.buffer = s.generator.Append(s.buffer, now)
		return s.buffer, 0
	}
	// The events of a batch are a microsecond apart, the last one is of now.
	first := now.UnixMicro() - int64(s.count) + 1
	for i := range s.count {
		separator := byte(',')
		if i == 0 {
			separator = '['
		}
		s.buffer = s.generator.appendMicros(append(s.buffer, separator), first+int64(i))
	}
	s.buffer = append(s.buffer, ']')
	return s.buffer, 0
}

func (s *writer) events([]byte) int { return s.count }

func (s *writer) check(body []byte) error {
	if s.batch {
		return checkBatch(body, s.count)
	}
	return checkCreated(body)
}

// reader sends prepared queries: at random, or one after the other.
type reader struct {
	queries []query
	rng     *rand.Rand
	at      int
	inTurn  bool
}

func (s *reader) next(time.Time) ([]byte, int) {
	if s.inTurn {
		s.at = (s.at + 1) % len(s.queries)
	} else {
		s.at = s.rng.IntN(len(s.queries))
	}
	q := &s.queries[s.at]
	return q.request, q.series
}

func (s *reader) events(body []byte) int { return countEvents(body) }

func (s *reader) check(body []byte) error {
	page, err := parsePage(body)
	if err != nil {
		return err
	}
	q := &s.queries[s.at]
	if n := countEvents(body); n != len(page.Data) {
		return fmt.Errorf("counted %d events in an answer that has %d", n, len(page.Data))
	}
	for _, e := range page.Data {
		if q.correlationID != "" && e.CorrelationID != q.correlationID {
			return fmt.Errorf("asked for correlation_id %s and got %s", q.correlationID, e.CorrelationID)
		}
		if q.eventType != "" && e.EventType != q.eventType {
			return fmt.Errorf("asked for event_type %s and got %s", q.eventType, e.EventType)
		}
	}
	if len(page.Data) == 0 {
		return fmt.Errorf("an answer without events: %.200s", body)
	}
	return nil
}
