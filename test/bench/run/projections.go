package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// lagMetric says how far projections are behind the log, in seconds.
const lagMetric = "datastorage_projection_lag_seconds{"

// projections measures what following the log costs the load, and how far behind it projections are meanwhile.
func projections(ctx context.Context, s *scope) ([]line, error) {
	var lines []line
	for _, store := range []struct {
		name  string
		serve func(ctx context.Context, environ ...string) (target, error)
	}{{"PostgreSQL", s.serveFresh}, {"embedded", s.serveEmbedded}} {
		with, err := store.serve(ctx)
		if err != nil {
			return nil, err
		}
		without, err := store.serve(ctx, "DATASTORAGE_PROJECTIONS_ENABLED=false")
		if err != nil {
			return nil, err
		}
		var lags []float64
		m, err := s.alternate(ctx, func(ctx context.Context) (float64, error) {
			watch := watchLag(ctx, with)
			rate, err := s.rate("with projections, "+store.name, with, nil)(ctx)
			lag, lagErr := watch()
			lags = append(lags, lag)
			return rate, errors.Join(err, lagErr)
		}, s.rate("without, "+store.name, without, nil))
		if err != nil {
			return nil, err
		}
		lines = append(lines,
			ratio(fmt.Sprintf("single events while projections follow, %s, %d clients, with nobody following", store.name, s.plan.clients),
				m[0], m[1], perSecond, atLeast(0.9, 1)),
			line{what: "the greatest lag of a projection meanwhile", measured: seconds(median(lags)), value: median(lags), show: seconds, bound: atMost(1, 0.5)})
	}
	return lines, nil
}

func seconds(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + " s" }

// lagInterval is how often the lag is looked at.
const lagInterval = 100 * time.Millisecond

// watchLag looks at the lag of a server's projections until the returned function is called, which returns the greatest.
func watchLag(ctx context.Context, t target) func() (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	var greatest float64
	var looks atomic.Int64
	go func() {
		for {
			select {
			case <-ctx.Done():
				result <- nil
				return
			case <-time.After(lagInterval):
			}
			lag, found, err := readLag(ctx, t.url)
			if err != nil && ctx.Err() == nil {
				result <- err
				return
			}
			if found {
				greatest = max(greatest, lag)
				looks.Add(1)
			}
		}
	}()
	return func() (float64, error) {
		cancel()
		err := <-result
		if err == nil && looks.Load() == 0 {
			err = errors.New("the lag was never seen")
		}
		return greatest, err
	}
}

// readLag returns the greatest lag of all projections; nothing is found until the server has looked for the first time.
func readLag(ctx context.Context, url string) (lag float64, found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return 0, false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), lagMetric) {
			continue
		}
		_, value, _ := strings.Cut(lines.Text(), "} ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, false, fmt.Errorf("metric %q: %w", lines.Text(), err)
		}
		lag, found = max(lag, v), true
	}
	return lag, found, lines.Err()
}
