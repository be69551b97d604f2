package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage/internal/faultproxy"
)

// clientsOf returns clients whose events were all acknowledged, so many each, and the log that a good server makes of them.
func clientsOf(events ...int) (clients []*writer, stored []storedEvent) {
	for c, n := range events {
		w := &writer{number: c}
		for seq := 1; seq <= n; seq++ {
			id := uuid.New()
			w.acked = append(w.acked, ack{id, 202})
			e := storedEvent{ID: id, LogIndex: int64(len(stored))}
			e.Data.Client, e.Data.Seq = c, seq
			stored = append(stored, e)
		}
		clients = append(clients, w)
	}
	return clients, stored
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(stored []storedEvent) []storedEvent
		want   comparison
	}{
		"good": {func(s []storedEvent) []storedEvent { return s }, comparison{acknowledged: 7, stored: 7}},
		"newest first": {func(s []storedEvent) []storedEvent {
			slices.Reverse(s)
			return s
		}, comparison{acknowledged: 7, stored: 7}},
		"one lost": {func(s []storedEvent) []storedEvent { return slices.Delete(s, 2, 3) }, comparison{acknowledged: 7, stored: 6, lost: 1}},
		"one more that nobody acknowledged": {func(s []storedEvent) []storedEvent {
			e := storedEvent{ID: uuid.New(), LogIndex: 9}
			e.Data.Client, e.Data.Seq = 1, 4
			return append(s, e)
		}, comparison{acknowledged: 7, stored: 8}},
		"twice under one id": {func(s []storedEvent) []storedEvent { return append(s, s[3]) }, comparison{acknowledged: 7, stored: 8, twice: 1}},
		"twice under two ids": {func(s []storedEvent) []storedEvent {
			e := s[3]
			e.ID = uuid.New()
			return append(s, e)
		}, comparison{acknowledged: 7, stored: 8, twice: 1}},
		"overtaken": {func(s []storedEvent) []storedEvent {
			s[0].LogIndex, s[1].LogIndex = s[1].LogIndex, s[0].LogIndex
			return s
		}, comparison{acknowledged: 7, stored: 7, outOfOrder: 1}},
		"other clients between": {func(s []storedEvent) []storedEvent {
			s[1].LogIndex, s[6].LogIndex = 6, 1 // the second of the first client's four, and the last of the other's three
			return s
		}, comparison{acknowledged: 7, stored: 7, outOfOrder: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clients, stored := clientsOf(4, 3)
			got := compare(clients, c.damage(stored))
			if faults := c.want.lost + c.want.twice + c.want.outOfOrder; len(got.examples) != faults {
				t.Errorf("%d examples for %d faults: %q", len(got.examples), faults, got.examples)
			}
			got.examples = nil
			if got.acknowledged != c.want.acknowledged || got.stored != c.want.stored || got.lost != c.want.lost ||
				got.twice != c.want.twice || got.outOfOrder != c.want.outOfOrder {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--scenario nonsense":                    `nothing is named "nonsense"`,
		"--figure nonsense":                      `nothing is named "nonsense"`,
		"--rounds 0":                             "rounds must be at least 1",
		"--clients 0":                            "clients must be between",
		"--scenario latency-2s --figure burst":   "exclude each other",
		"latency-2s":                             "is not a flag",
		"--dlq tape":                             "must be disk or redis",
		"--dlq redis --figure burst":             "with the queue on disk",
		"--dlq redis --scenario queue-disk-full": `nothing is named "queue-disk-full", with this --dlq`,
		"--scenario kill9-redis":                 `nothing is named "kill9-redis", with this --dlq`,
		"--scenario latency-2s,kill9-server --x": "flag provided but not defined",
	} {
		_, err := parse(strings.Fields(args), new(bytes.Buffer), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	var list bytes.Buffer
	if _, err := parse([]string{"--list"}, &list, &list); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	if n := strings.Count(list.String(), "\n"); n != len(scenarios)+len(figures) {
		t.Errorf("--list names %d things:\n%s", n, list.String())
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := newSummary()
	slow, quick := 2.5, 0.5
	for _, r := range []result{
		{Scenario: "a", Round: 1, Acknowledged: 10, Recovery: &slow, Silence: 1},
		{Scenario: "b", Round: 1, NotRun: true},
		{Scenario: "a", Round: 2, Acknowledged: 20, Lost: 1, Recovery: &quick, Silence: 3, Failures: []string{"one is lost"}},
	} {
		s.add(&r)
	}
	var out bytes.Buffer
	if err := (&printer{w: &out}).summary(s, 7); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 of 2 runs failed, 1 were not run: 30 events acknowledged, 1 lost, 0 twice, 0 out of order; seed 7",
		"a failed in round 2; again: --seed 7 --scenario a --rounds 2",
		"2.50 s",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if err := s.err(); err == nil || err.Error() != "1 of 2 failed" {
		t.Error(err)
	}
}

// A deck deals every fault, whatever the seed is.
func TestDealer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		d := &dealer{random: rand.New(rand.NewPCG(seed, 0)), dealt: map[faultproxy.CommitFault]int{}}
		for range deck {
			if d.wholeDeck() {
				t.Fatal("a deck is whole too early")
			}
			d.deal()
		}
		if !d.wholeDeck() || d.count(faultproxy.CutBefore) != 4 || d.count(faultproxy.CutAfter) != 4 || d.count(faultproxy.HoldAnswer) != 1 {
			t.Errorf("seed %d dealt %v", seed, d.dealt)
		}
	}
}

// TestDocumentation keeps the page about this program complete.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "chaos.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		if !bytes.Contains(page, []byte("`"+s.name+"`")) {
			t.Errorf("docs/chaos.md does not describe the scenario %s", s.name)
		}
	}
	for _, f := range figures {
		if !bytes.Contains(page, []byte("`"+f.name+"`")) {
			t.Errorf("docs/chaos.md does not describe the figure %s", f.name)
		}
	}
}

// TestRun breaks a few commits under a few clients.
func TestRun(t *testing.T) {
	t.Parallel()
	var out, progress bytes.Buffer
	err := run(t.Context(), []string{"--short", "--clients", "8", "--json", "--scenario", "cut-mid-commit"}, &out, &progress)
	if err != nil {
		t.Errorf("%v\n%s%s", err, out.String(), progress.String())
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	if r.Scenario != "cut-mid-commit" || r.Acknowledged == 0 || r.Acknowledged != r.Created+r.Queued || r.Stored != r.Acknowledged {
		t.Errorf("got %+v", r)
	}
}
