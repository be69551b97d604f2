package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/bench"
	"github.com/datastorage-io/datastorage/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, nil)) }

func TestChoose(t *testing.T) {
	t.Parallel()
	if all, err := choose(""); err != nil || len(all) != len(rows) {
		t.Errorf("choose nothing = %d rows, %v, want all %d", len(all), err, len(rows))
	}
	chosen, err := choose("verify,single-pg")
	if err != nil || len(chosen) != 2 || chosen[0].name != "single-pg" || chosen[1].name != "verify" {
		t.Errorf("choose = %v, %v, want single-pg and verify", chosen, err)
	}
	if _, err := choose("single-pg,nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("err = %v, want one that names the unknown row", err)
	}
	names := map[string]bool{}
	for _, r := range rows {
		if r.about == "" || r.measure == nil || names[r.name] {
			t.Errorf("row %q lacks something or comes twice", r.name)
		}
		names[r.name] = true
	}
}

func TestRun_List(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), []string{"--list"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != len(rows) {
		t.Errorf("%d lines, want one for each of %d rows", n, len(rows))
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, values := range map[float64][]float64{7: {7}, 2: {3, 1, 2}, 4: {4, 1}, 5: {9, 5, 1, 2, 8}} {
		if got := median(slices.Clone(values)); got != want {
			t.Errorf("median(%v) = %v, want %v", values, got, want)
		}
	}
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	l := &lab{plan: plan{rounds: 3}}
	order := ""
	figure := func(name string, values ...float64) measurement {
		return func(context.Context) (float64, error) {
			order += name
			v := values[0]
			values = values[1:]
			return v, nil
		}
	}
	got, err := l.alternate(t.Context(), figure("a", 3, 1, 2), figure("b", 30, 20, 10))
	if err != nil || !slices.Equal(got, []float64{2, 20}) || order != "ababab" {
		t.Errorf("alternate = %v, %v in order %s, want [2 20] in order ababab", got, err, order)
	}
	wrong := errors.New("wrong")
	if _, err := l.alternate(t.Context(), func(context.Context) (float64, error) { return 0, wrong }); !errors.Is(err, wrong) {
		t.Errorf("err = %v, want that of the figure", err)
	}
}

func TestWriteTables(t *testing.T) {
	t.Parallel()
	cpu, memory := 20.5, 61e6
	lines := []line{
		ratio("rate", 5000, 10_000, perSecond, atLeast(0.3, 0.5)),
		ratio("latency", 400, 200, bench.Micros, atMost(3, 1.7)),
		{what: "memory", measured: megabytes(200), value: 200, show: megabytes, bound: atMost(150, 80)},
		{what: "broken", measured: "failed"},
	}
	loads := []load{{row: "single-pg", what: "PostgreSQL", result: bench.Result{
		Scenario: "single", Clients: 64, RequestsPerSecond: 5000, EventsPerSecond: 5000, P50Micros: 10_000, P95Micros: 20_000, P99Micros: 30_000,
		MaxMicros: 40_000, ServerMicrosPerEvent: &cpu, ServerMemory: &memory,
	}}}
	want := `| what | measured | reference | result | must | aim | met? |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
| rate | 5 000/s | 10 000/s | 0.50 × | ≥ 0.30 × | ≥ 0.50 × | yes, aim reached |
| latency | 400 µs | 200 µs | 2.00 × | ≤ 3.00 × | ≤ 1.70 × | yes |
| memory | 200 MB |  | 200 MB | ≤ 150 MB | ≤ 80 MB | **no** |
| broken | failed |  |  |  |  | **no** |

Every measurement; CPU is a request's or an event's share in what the process used:

| row | of | scenario | clients | requests/s | events/s | p50 | p95 | p99 | max | errors | server CPU/event | PostgreSQL CPU/event | generator CPU/request | server memory |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| single-pg | PostgreSQL | single | 64 | 5 000 | 5 000 | 10.0 ms | 20.0 ms | 30.0 ms | 40.0 ms | 0 % | 20.5 µs |  |  | 61 MB |
`
	var b strings.Builder
	if err := writeTables(&b, lines, loads); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

func TestProcess_Stop(t *testing.T) {
	t.Parallel()
	p, err := start(t.TempDir(), "waiter", []string{"GREETING=hello"}, "/bin/sh", "-c", `echo "$GREETING"; trap 'exit 0' TERM; while :; do sleep 0.01; done`)
	if err != nil {
		t.Fatal(err)
	}
	greeted := func(context.Context) bool {
		text, err := os.ReadFile(p.log)
		return err == nil && string(text) == "hello\n"
	}
	if err := p.await(t.Context(), greeted); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil || p.running() {
		t.Errorf("stop = %v, running %t", err, p.running())
	}
}

func TestProcess_TellsWhyItEnded(t *testing.T) {
	t.Parallel()
	p, err := start(t.TempDir(), "server", nil, "/bin/sh", "-c", "echo the port is in use >&2; exit 1")
	if err != nil {
		t.Fatal(err)
	}
	err = p.await(t.Context(), func(context.Context) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "server ended") || !strings.Contains(err.Error(), "the port is in use") {
		t.Errorf("await = %v, want the end of the log", err)
	}
	if err := p.stop(); err == nil {
		t.Error("stop says nothing of a program that ended before its time")
	}
}

func TestHoldSnapshot(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t)
	if release, err := holdSnapshot(t.Context(), url); err == nil {
		t.Error("a database without tables has a snapshot", release())
	}
	if err := execute(t.Context(), url, "CREATE TABLE held (n integer); CREATE TABLE also (n integer)"); err != nil {
		t.Fatal(err)
	}
	release, err := holdSnapshot(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	var locks, snapshots int
	err = db.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE l.relation IN ('held'::regclass, 'also'::regclass)), count(DISTINCT a.pid) FILTER (WHERE a.backend_xmin IS NOT NULL)
		FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.pid <> pg_backend_pid() AND a.datname = current_database() AND l.mode = 'AccessShareLock'`).Scan(&locks, &snapshots)
	if err != nil || locks != 2 || snapshots != 1 {
		t.Errorf("%d locks, %d snapshots, %v, want 2 and 1", locks, snapshots, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
