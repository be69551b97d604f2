package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/config"
	"github.com/datastorage-io/datastorage/internal/importer"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

func newImportCommand(a *app) *cobra.Command {
	var rebase bool
	cmd := &cobra.Command{
		Use:   "import FILE.ndjson",
		Short: "Store past events from a file",
		Long: `Stores the events of a file, one a line, in the format of POST /api/v1/audit/events,
at the times they carry: the time window of the API does not apply. "-" reads standard
input.

The whole file is checked first; a bad line is reported with its number, and then
nothing is stored. The command can be run again at any point, also after it was
interrupted: events that are stored already change nothing. It may run while a server
serves the same store.`,
		Example: `  datastorage import events.ndjson
  datastorage import --rebase runs.ndjson --data-dir ./datastorage-data
  zcat archive.ndjson.gz | datastorage import -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New(`"datastorage import" takes one file, or - for standard input`)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runImport(cmd, args[0], rebase)
		},
	}
	addStoreFlags(cmd)
	cmd.Flags().BoolVar(&rebase, "rebase", false, "move all events so that the newest one happens now; the distance is kept for later runs of the same file")
	return cmd
}

func (a *app) runImport(cmd *cobra.Command, name string, rebase bool) (err error) {
	cfg, err := a.loadConfig(cmd)
	if err != nil {
		return err
	}
	file, size, done, err := a.openInput(name)
	if err != nil {
		return err
	}
	defer done()
	ctx, log := cmd.Context(), a.logger(cfg.Log)
	store, err := openStore(ctx, &cfg.Config, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	committer, err := ingest.NewCommitter(ctx, store, limits(&cfg.Config), log, ingest.NewMetrics(telemetry.NewRegistry()))
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer committer.Close()
	began, broken := time.Now(), 0
	check, err := schemaCheck(ctx, &cfg.Config, store, &broken)
	if err != nil {
		return err
	}
	result, err := importer.Import(ctx, file, store, ingest.NewService(committer), importer.Options{
		Rules: rules(&cfg.Config), Rebase: rebase, Now: began, Check: check, Progress: importProgress(a.stderr, size),
	})
	if broken > 0 {
		fmt.Fprintf(a.stderr, "datastorage: warning: %d of the events break the schema of their event type, which an import does not refuse: "+
			"\"datastorage event-types check\" lists them\n", broken)
	}
	if err != nil {
		return importError(ctx, name, result, err)
	}
	took := time.Since(began)
	fmt.Fprintf(a.stdout, "%s: %d events, %d new, %d stored before, in %s (%.0f events/s)\n",
		name, result.Events, result.Stored, result.Duplicates, took.Round(time.Millisecond), float64(result.Events)/took.Seconds())
	if result.Shift != 0 {
		fmt.Fprintf(a.stdout, "moved by %s\n", result.Shift)
	}
	return nil
}

// schemaCheck returns a function that counts the events that break the schema of their type, where it has the mode warn or
// enforce; nil when no type has. What is past is not refused.
func schemaCheck(ctx context.Context, cfg *config.Config, store store, broken *int) (func(*datastorage.Event), error) {
	snapshot, err := catalog.Load(ctx, store, catalog.Weights(cfg.Catalog.Weights))
	if err != nil {
		return nil, err
	}
	registry := snapshot.EventTypes()
	if !registry.Checks() {
		return nil, nil
	}
	return func(e *datastorage.Event) {
		if found, err := registry.Check(e.Type, e.Data); err == nil && found != nil {
			*broken++
		}
	}, nil
}

func importError(ctx context.Context, name string, result importer.Result, err error) error {
	if result.Events > 0 {
		err = fmt.Errorf("%w (%d events are stored; run the same command again to go on)", err, result.Stored+result.Duplicates)
	}
	if ctx.Err() != nil {
		return errors.Join(errInterrupted, err)
	}
	return fmt.Errorf("import %s: %w", name, err)
}

// openInput opens the named file. Standard input is copied to a temporary file, since an import reads twice.
func (a *app) openInput(name string) (file *os.File, size int64, done func(), err error) {
	if name != "-" {
		if file, err = os.Open(name); err != nil {
			return nil, 0, nil, err
		}
		done = func() { _ = file.Close() }
	} else {
		if file, err = os.CreateTemp("", "datastorage-import-*.ndjson"); err != nil {
			return nil, 0, nil, fmt.Errorf("keep standard input in a temporary file: %w", err)
		}
		done = func() { _ = file.Close(); _ = os.Remove(file.Name()) }
		if _, err = io.Copy(file, a.stdin); err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
		if err != nil {
			done()
			return nil, 0, nil, fmt.Errorf("keep standard input in a temporary file: %w", err)
		}
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory; import takes a file", name)
	}
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return file, info.Size(), done, nil
}

// importProgress shows a bar on a terminal: the file is read twice, first to check it, then to store it.
func importProgress(w io.Writer, size int64) func(importer.Progress) {
	if !telemetry.IsTerminal(w) || size == 0 {
		return nil
	}
	bar := progressbar.NewOptions64(2*size,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription("checking"), progressbar.OptionShowBytes(false),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	return func(p importer.Progress) {
		if p.Checking {
			_ = bar.Set64(p.Bytes)
			return
		}
		bar.Describe(fmt.Sprintf("storing, %d events", p.Events))
		_ = bar.Set64(size + p.Bytes)
	}
}
