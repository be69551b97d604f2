package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/datastorage-io/datastorage/internal/bench"
	"github.com/datastorage-io/datastorage/internal/catalog/catalogtest"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
)

// v1Searches is the rate of searches that V1.0 reached, among 1 000 workflows.
const v1Searches = 700

// importBody is the size at which a body of documents is sent, in bytes. The server takes 16 MiB.
const importBody = 15 << 20

// catalogSearch imports workflows into a server on each store and searches among them. Rates and latencies are medians;
// the import is made once.
func catalogSearch(ctx context.Context, s *scope) ([]line, error) {
	own, err := s.serveEmbedded(ctx)
	if err != nil {
		return nil, err
	}
	server, err := s.serveFresh(ctx)
	if err != nil {
		return nil, err
	}
	bodies := catalogBodies(s.plan.workflows)
	var lines []line
	for _, of := range []struct {
		store string
		target
	}{{"embedded", own}, {"PostgreSQL", server}} {
		took, err := importCatalog(ctx, of.url, bodies)
		if err != nil {
			return nil, err
		}
		s.say("  %s: imported %d workflows in %v", of.store, s.plan.workflows, took)
		rate, p99, err := s.searches(ctx, of.store, of.target)
		if err != nil {
			return nil, err
		}
		seconds := took.Seconds()
		among := fmt.Sprintf("%s workflows of 4 KB over HTTP, %s", bench.Count(float64(s.plan.workflows)), of.store)
		lines = append(lines,
			line{what: "import of " + among, measured: inSeconds(seconds), value: seconds, show: inSeconds, bound: atMost(10, 2)},
			line{
				what: fmt.Sprintf("searches among %s, %d clients, with V1.0 at 1 000 workflows", among, s.plan.searchClients), measured: perSecond(rate),
				reference: perSecond(v1Searches), value: rate, show: perSecond, bound: atLeast(3000, 6000),
			},
			line{what: "the same, p99", measured: bench.Micros(p99), value: p99, show: bench.Micros, bound: atMost(10_000, 3_000)},
		)
	}
	return lines, nil
}

func inSeconds(v float64) string { return fmt.Sprintf("%.1f s", v) }

// searches returns the rate of searches and their p99 in microseconds, each the median of the rounds.
func (s *scope) searches(ctx context.Context, what string, t target) (rate, p99 float64, err error) {
	o := s.options(t)
	o.Scenario, o.Clients = bench.Search, s.plan.searchClients
	workload, err := bench.Prepare(ctx, o)
	if err != nil {
		return 0, 0, err
	}
	var rates, tails []float64
	for range s.plan.rounds {
		results, err := s.runLoad(ctx, what, o, workload)
		if err != nil {
			return 0, 0, err
		}
		rates, tails = append(rates, results[0].RequestsPerSecond), append(tails, results[0].P99Micros)
	}
	return median(rates), median(tails), nil
}

// catalogBodies returns documents of n workflows in as few bodies as a server takes them in.
func catalogBodies(n int) [][]byte {
	var bodies [][]byte
	var body []byte
	for _, w := range catalogtest.Workflows(1, n) {
		if len(body) > importBody {
			bodies, body = append(bodies, body), nil
		}
		body = catalogdoc.AppendWorkflow(body, w)
	}
	return append(bodies, body)
}

// importCatalog sends documents to a server one body after the other and returns how long it took.
func importCatalog(ctx context.Context, url string, bodies [][]byte) (time.Duration, error) {
	began := time.Now()
	for _, body := range bodies {
		if err := postDocuments(ctx, url+"/api/v1/workflows/import", body); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

func postDocuments(ctx context.Context, url string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/yaml")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("import: %s: %.300s", response.Status, answer)
	}
	return nil
}
