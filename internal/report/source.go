package report

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/datastorage-io/datastorage"
)

// API is a server's HTTP API.
type API interface {
	// Get returns the body of a 200 to a path below /api/v1. The error of a 404 has datastorage.CodeNotFound.
	Get(ctx context.Context, path string) ([]byte, error)
}

// reader calls the API for one report and notes each call.
type reader struct {
	api     API
	sources []Source
}

// get decodes the answer to a path and returns the mark that cites it.
func (r *reader) get(ctx context.Context, path string, into any) (mark string, err error) {
	body, err := r.api.Get(ctx, path)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return "", fmt.Errorf("the answer to GET /api/v1%s cannot be read: %w", path, err)
	}
	return r.note(path, ""), nil
}

// try is get for what a report can do without: found is false when the server does not have it, or nothing of it.
func (r *reader) try(ctx context.Context, path string, into any) (mark string, found bool, err error) {
	mark, err = r.get(ctx, path, into)
	if datastorage.CodeOf(err) == datastorage.CodeNotFound {
		return r.note(path, "not found"), false, nil
	}
	return mark, err == nil, err
}

func (r *reader) note(path, note string) (mark string) {
	mark = markOf(len(r.sources))
	r.sources = append(r.sources, Source{Mark: mark, Call: "GET /api/v1" + path, Note: note})
	return mark
}

// markOf returns the n-th of A to Z, AA, AB and so on.
func markOf(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return markOf(n/26-1) + string(rune('A'+n%26))
}

// legible undoes the escapes that a query need not have.
var legible = strings.NewReplacer("%3A", ":", "%2A", "*")

// maxPages bounds how many pages of events one question of a report reads.
const maxPages = 10

// events calls each with the events of a query, oldest first, and returns the mark that cites it. complete is false when
// there are more than maxPages full pages.
func (r *reader) events(ctx context.Context, query url.Values, each func(*event)) (mark string, complete bool, err error) {
	query.Set("order", "asc")
	query.Set("limit", "1000")
	query.Set("count", "none")
	path := "/audit/events?" + legible.Replace(query.Encode())
	next := path
	count := 0
	for range maxPages {
		var page struct {
			Data       []event `json:"data"`
			Pagination struct {
				Next string `json:"next_cursor"`
			} `json:"pagination"`
		}
		body, err := r.api.Get(ctx, next)
		if err != nil {
			return "", false, err
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return "", false, fmt.Errorf("the answer to GET /api/v1%s cannot be read: %w", next, err)
		}
		for i := range page.Data {
			each(&page.Data[i])
		}
		count += len(page.Data)
		if page.Pagination.Next == "" {
			return r.note(path, plural(count, "event")), true, nil
		}
		next = path + "&cursor=" + url.QueryEscape(page.Pagination.Next)
	}
	return r.note(path, fmt.Sprintf("the first %d events; there are more", count)), false, nil
}
