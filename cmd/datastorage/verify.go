package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/postgres"
	"github.com/datastorage-io/datastorage/internal/sqlite"
	"github.com/datastorage-io/datastorage/ledger"
)

// verifyGC lets the heap grow further than usual between collections: every row that an audit reads is garbage a moment
// later, and nothing else is on the heap.
const verifyGC = 800

// verifyFlags are the flags of "datastorage verify" beside those of the store.
type verifyFlags struct {
	expect    []string
	receipts  []string
	json      bool
	maxFaults int
}

func newVerifyCommand(a *app) *cobra.Command {
	var flags verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Re-read the whole store and prove that nothing was changed",
		Long: `Re-reads every event and the whole ledger, recomputes all hashes, and names each thing
that is not as it was committed. Exits with 0 when all is well and with 1 when there is
a fault. It only reads, and may run while a server serves the store.

A log that lost its end, or that somebody recomputed as a whole, is consistent in
itself. It is found out by an anchor from outside: the SIZE:ROOT that an earlier run
printed (--expect), or the receipts of a producer (--receipt): the JSON of the answers
to its writes, one after another. Both flags can be given several times.`,
		Example: `  datastorage verify --data-dir ./datastorage-data
  datastorage verify --expect 2777:QtT2bOZ0S1oZt1n0m7e6jJ3RkS9ZQnYtP0xw1sXn3mE=
  datastorage verify --database-url postgres://reader@replica.example.org/audit --receipt kept.ndjson`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runVerify(cmd, &flags) },
	}
	addStoreFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&flags.expect, "expect", nil, "`SIZE:ROOT` that the log must have had at that size")
	f.StringArrayVar(&flags.receipts, "receipt", nil, "`file` with receipts that the log must still agree with")
	f.BoolVar(&flags.json, "json", false, "print the result as JSON")
	f.IntVar(&flags.maxFaults, "max-faults", ledger.DefaultMaxFaults, "list at most this `number` of faults; all are counted")
	return cmd
}

// auditSource is what an audit reads, and where that is.
type auditSource interface {
	ledger.Source
	Name() string
	Close() error
}

// openAudit opens the configured store for reading alone.
func openAudit(ctx context.Context, cfg *config.Config) (auditSource, error) {
	if cfg.Database.URL.IsSet() {
		return postgres.OpenAudit(ctx, cfg.Database.URL.Reveal())
	}
	return sqlite.OpenAudit(ctx, cfg.DataDir)
}

func (a *app) runVerify(cmd *cobra.Command, flags *verifyFlags) (err error) {
	if flags.maxFaults < 0 {
		return usagef("--max-faults must be at least 0")
	}
	anchors, err := flags.anchors()
	if err != nil {
		return err
	}
	cfg, err := a.loadConfig(cmd)
	if err != nil {
		return err
	}
	source, err := openAudit(cmd.Context(), &cfg.Config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	defer debug.SetGCPercent(debug.SetGCPercent(verifyGC))
	line := newProgressLine(a.stderr)
	began := time.Now()
	result, err := ledger.Audit(cmd.Context(), source, ledger.AuditOptions{
		Anchors: anchors, MaxFaults: flags.maxFaults, Progress: verifyProgress(line, began),
	})
	line.clear()
	if err != nil {
		return fmt.Errorf("verify %s: %w", source.Name(), err)
	}
	v := verdict{AuditResult: result, store: source.Name(), took: time.Since(began), anchors: len(anchors)}
	if flags.json {
		err = v.writeJSON(a.stdout)
	} else {
		err = v.write(a.stdout)
	}
	if err == nil && result.FaultCount > 0 {
		err = errSilent
	}
	return err
}

// anchors reads what the flags name.
func (f *verifyFlags) anchors() ([]ledger.Anchor, error) {
	var anchors []ledger.Anchor
	for _, text := range f.expect {
		anchor, err := ledger.ParseAnchor(text)
		if err != nil {
			return nil, usagef("--expect %q: %w", text, err)
		}
		anchor.Source = "--expect " + anchor.String()
		anchors = append(anchors, anchor)
	}
	for _, name := range f.receipts {
		found, err := readReceipts(name)
		if err != nil {
			return nil, fmt.Errorf("--receipt: %w", err)
		}
		anchors = append(anchors, found...)
	}
	return anchors, nil
}

func readReceipts(name string) (anchors []ledger.Anchor, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return ledger.ReadReceipts(file, name)
}

// verifyProgress shows how far an audit is, how fast, and how long it will take.
func verifyProgress(line progressLine, began time.Time) func(ledger.AuditProgress) {
	shown := time.Time{}
	return func(p ledger.AuditProgress) {
		now := time.Now()
		if p.Stage != "events" {
			line.show("%d events, checking %s", p.Done, p.Stage)
			return
		}
		if now.Sub(shown) < 200*time.Millisecond || p.Done == 0 {
			return
		}
		shown = now
		rate := float64(p.Done) / now.Sub(began).Seconds()
		left := time.Duration(float64(p.Size-p.Done) / rate * float64(time.Second))
		line.show("%d of %d events, %.0f events/s, %s left", p.Done, p.Size, rate, left.Round(time.Second))
	}
}

// verdict is the result of "datastorage verify".
type verdict struct {
	*ledger.AuditResult
	store   string
	took    time.Duration
	anchors int
}

// conclusion says in a sentence what was proved.
func (v *verdict) conclusion() string {
	switch {
	case v.FaultCount > 0:
		return "NOT as it was committed: " + v.kinds()
	case !v.Anchored:
		return "consistent in itself; not anchored"
	case v.AnchorSize < v.Size:
		return fmt.Sprintf("consistent, and anchored up to size %d: the %d events behind it are consistent in themselves", v.AnchorSize, v.Size-v.AnchorSize)
	default:
		return "consistent and anchored"
	}
}

// kinds counts the faults by kind.
func (v *verdict) kinds() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(v.Kinds)) {
		parts = append(parts, fmt.Sprintf("%d × %s", v.Kinds[kind], kind))
	}
	return strings.Join(parts, ", ")
}

func (v *verdict) rate() float64 { return float64(v.Size) / max(v.took.Seconds(), 1e-9) }

func (v *verdict) write(w io.Writer) error {
	for _, f := range v.Faults {
		fmt.Fprintln(w, f)
	}
	if more := v.FaultCount - int64(len(v.Faults)); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	if v.FaultCount > 0 {
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("store", "%s", v.store)
	row("events", "%d in %d commits", v.Size, v.Commits)
	row("notifications", "%d", v.Notifications)
	row("root", "%v", v.Root)
	if !v.MinTime.IsZero() {
		row("first event", "%s", v.MinTime.Format(time.RFC3339Nano))
		row("last event", "%s", v.MaxTime.Format(time.RFC3339Nano))
	}
	row("duration", "%s, %.0f events/s", v.took.Round(time.Millisecond), v.rate())
	row("anchors", "%d", v.anchors)
	row("faults", "%d", v.FaultCount)
	row("result", "%s", v.conclusion())
	if anchor := v.nextAnchor(); anchor != "" {
		row("next anchor", "%s", anchor)
	}
	return t.Flush()
}

// writeJSON writes the result for machines.
func (v *verdict) writeJSON(w io.Writer) error {
	kinds := v.Kinds
	if kinds == nil {
		kinds = map[ledger.FaultKind]int64{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Store           string                     `json:"store"`
		Result          string                     `json:"result"`
		Size            int64                      `json:"size"`
		RootHash        string                     `json:"root_hash"`
		Commits         int64                      `json:"commits"`
		Notifications   int64                      `json:"notifications"`
		FirstEvent      time.Time                  `json:"first_event,omitzero"`
		LastEvent       time.Time                  `json:"last_event,omitzero"`
		DurationSeconds float64                    `json:"duration_seconds"`
		EventsPerSecond float64                    `json:"events_per_second"`
		Anchors         int                        `json:"anchors"`
		Anchored        bool                       `json:"anchored"`
		AnchorSize      int64                      `json:"anchor_size"`
		NextAnchor      string                     `json:"next_anchor,omitempty"`
		FaultCount      int64                      `json:"fault_count"`
		FaultKinds      map[ledger.FaultKind]int64 `json:"fault_kinds"`
		Faults          []ledger.Fault             `json:"faults"`
	}{
		v.store, v.conclusion(), v.Size, v.Root.String(), v.Commits, v.Notifications, v.MinTime, v.MaxTime, v.took.Seconds(), v.rate(),
		v.anchors, v.Anchored, v.AnchorSize, v.nextAnchor(), v.FaultCount, kinds, slices.Concat([]ledger.Fault{}, v.Faults),
	})
}

// nextAnchor is what to keep for the next run; "" when the log has faults.
func (v *verdict) nextAnchor() string {
	if v.FaultCount > 0 {
		return ""
	}
	return ledger.Anchor{TreeSize: v.Size, Root: v.Root}.String()
}
