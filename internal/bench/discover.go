package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// sampleQueries and sampleIDs bound the search for correlations to ask for.
const (
	sampleQueries = 300
	sampleIDs     = 2000
)

// errEmpty says that there is nothing to read.
var errEmpty = errors.New(`the server has no events to read; store some first with "datastorage bench --scenario single" or "datastorage import"`)

// browser reads what a server holds, to prepare a load.
type browser struct {
	base    string
	timeout time.Duration
	client  http.Client
}

func (b *browser) close() { b.client.CloseIdleConnections() }

// page asks for one page of events.
func (b *browser) page(ctx context.Context, parameters url.Values) (page, error) {
	body, err := b.get(ctx, eventsPath+"?"+parameters.Encode())
	if err != nil {
		return page{}, err
	}
	return parsePage(body)
}

func (b *browser) get(ctx context.Context, target string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(b.base, "/")+target, nil)
	if err != nil {
		return nil, err
	}
	response, err := b.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.200s", target, response.Status, body)
	}
	return body, nil
}

// correlations returns ids of stored correlations from all over the time
// range that the events span, in no order.
func (b *browser) correlations(ctx context.Context, rng *rand.Rand) ([]string, error) {
	oldest, err := b.edge(ctx, "asc")
	if err != nil {
		return nil, err
	}
	newest, err := b.edge(ctx, "desc")
	if err != nil {
		return nil, err
	}
	var ids []string
	seen := map[string]bool{}
	for i := 0; i < sampleQueries && len(ids) < sampleIDs; i++ {
		until := newest
		if span := int64(newest.Sub(oldest)); i > 0 && span > 0 {
			until = oldest.Add(time.Duration(rng.Int64N(span)))
		}
		p, err := b.page(ctx, url.Values{"until": {until.Format(time.RFC3339Nano)}, "limit": {"100"}, "count": {"none"}})
		if err != nil {
			return nil, err
		}
		for _, e := range p.Data {
			if !seen[e.CorrelationID] {
				seen[e.CorrelationID] = true
				ids = append(ids, e.CorrelationID)
			}
		}
	}
	return ids, nil
}

// edge returns the time of the first event in an order.
func (b *browser) edge(ctx context.Context, order string) (time.Time, error) {
	p, err := b.page(ctx, url.Values{"order": {order}, "limit": {"1"}, "count": {"none"}})
	if err != nil {
		return time.Time{}, err
	}
	if len(p.Data) == 0 {
		return time.Time{}, errEmpty
	}
	return p.Data[0].EventTimestamp, nil
}

// eventTypes returns the types of the newest events since a time.
func (b *browser) eventTypes(ctx context.Context, since string) ([]string, error) {
	p, err := b.page(ctx, url.Values{"since": {since}, "limit": {"1000"}, "count": {"none"}})
	if err != nil {
		return nil, err
	}
	var types []string
	seen := map[string]bool{}
	for _, e := range p.Data {
		if !seen[e.EventType] {
			seen[e.EventType] = true
			types = append(types, e.EventType)
		}
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("since %s: %w", since, errEmpty)
	}
	return types, nil
}

// walk follows the cursor to the given page, or to the last full one, and
// returns the cursor that yields it and its number.
func (b *browser) walk(ctx context.Context, limit, target int) (cursor string, depth int, err error) {
	parameters := url.Values{"limit": {strconv.Itoa(limit)}, "count": {"none"}}
	var previous string
	for depth = 1; ; depth++ {
		p, err := b.page(ctx, parameters)
		if err != nil {
			return "", 0, fmt.Errorf("page %d: %w", depth, err)
		}
		if len(p.Data) < limit {
			// This page is not full: the one before it is the deepest to compare.
			cursor, depth = previous, depth-1
			break
		}
		if depth == target || !p.Pagination.HasMore || p.Pagination.NextCursor == "" {
			break
		}
		previous, cursor = cursor, p.Pagination.NextCursor
		parameters = url.Values{"limit": {strconv.Itoa(limit)}, "cursor": {cursor}}
	}
	if depth < 2 {
		return "", 0, fmt.Errorf("fewer than two full pages of %d events: %w", limit, errEmpty)
	}
	return cursor, depth, nil
}
