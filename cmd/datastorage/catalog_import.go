package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
	"github.com/datastorage-io/datastorage/internal/telemetry"
)

// maxCatalogFile is the largest file of documents that is read, in bytes.
const maxCatalogFile = 256 << 20

func (c *catalogCommand) importCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import DIR|FILE|-",
		Short: "Publish workflows and action types from YAML documents",
		Long: `Publishes the documents of a file, of all .yaml and .yml files below a directory, or of
standard input (-): RemediationWorkflow and ActionType, as they are kept in Git, one or
several in a file.

Everything is checked first; what is wrong is reported with file and line, and then nothing
is published. A version of a workflow that is there with the same content is left as it is,
so the command can be run after every commit. One that is there with other content is a
conflict, which is reported while the rest is published: a change needs a new version. An
action type that is there gets the new content.`,
		Example: `  datastorage catalog import ./workflows
  datastorage catalog import ./workflows --dry-run
  git show main:catalog.yaml | datastorage catalog import - --database-url postgres://user@db/audit`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%q takes one directory or file, or - for standard input", cmd.CommandPath())
			}
			return nil
		},
	}
	addStoreFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be published, and publish nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		documents, err := c.readDocuments(args[0])
		if err != nil {
			return err
		}
		return c.change(cmd, func(ctx context.Context, k *catalog.Keeper) error {
			return c.publish(ctx, k, documents, dryRun)
		})
	}
	return cmd
}

// publish imports documents and reports what became of them.
func (c *catalogCommand) publish(ctx context.Context, k *catalog.Keeper, documents []catalogdoc.Document, dryRun bool) error {
	began := time.Now()
	progress, endProgress := countProgress(c.stderr, "publishing", len(documents))
	results, err := k.Import(ctx, importItems(documents), catalog.ImportOptions{
		DryRun: dryRun, By: c.operator(), Progress: progress,
	})
	endProgress()
	if printErr := c.printImported(documents, results); printErr != nil {
		return printErr
	}
	counts := count(results)
	if err != nil {
		return fmt.Errorf("%w (%d of %d documents are done; run the same command again to go on)", err, len(results), len(documents))
	}
	verb := ""
	if dryRun {
		verb = "would be "
	}
	fmt.Fprintf(c.notes(), "%d documents: %s%d created, %d updated, %d unchanged, %d in conflict, in %s\n", len(documents), verb,
		counts[catalog.Created], counts[catalog.Updated], counts[catalog.Unchanged], counts[catalog.Conflict],
		time.Since(began).Round(time.Millisecond))
	if n := counts[catalog.Conflict]; n > 0 {
		return fmt.Errorf("%d of the versions are published with other content, which never changes: give the new content a new version", n)
	}
	return nil
}

// operator is who runs this command, for the audit event.
func (c *catalogCommand) operator() catalog.Actor {
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = strings.ToValidUTF8(u.Username, "")
	}
	return catalog.Actor{Type: "operator", ID: name}
}

// notes is where to write what stands beside a table: in a pipe it must not get between the rows.
func (c *catalogCommand) notes() io.Writer {
	if telemetry.IsTerminal(c.stdout) {
		return c.stdout
	}
	return c.stderr
}

// printImported prints what became of each document that is not unchanged.
func (c *catalogCommand) printImported(documents []catalogdoc.Document, results []catalog.Imported) error {
	var rows [][]string
	for i, r := range results {
		if r.Outcome == catalog.Unchanged {
			continue
		}
		row := []string{string(r.Outcome), "action type", "", "", ""}
		if w := documents[i].Workflow; w != nil {
			row[1], row[2], row[3] = "workflow", printable(w.Name), printable(w.Version)
		} else {
			row[2] = printable(documents[i].ActionType.Name)
		}
		if r.WorkflowID != uuid.Nil {
			row[4] = r.WorkflowID.String()
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	return printRows(c.stdout, []string{"outcome", "kind", "name", "version", "workflow_id"}, rows)
}

// importItems are the documents as the catalogue takes them.
func importItems(documents []catalogdoc.Document) []catalog.ImportItem {
	items := make([]catalog.ImportItem, len(documents))
	for i, d := range documents {
		items[i] = catalog.ImportItem{Workflow: d.Workflow, ActionType: d.ActionType}
	}
	return items
}

// count counts results by outcome.
func count(results []catalog.Imported) map[catalog.Outcome]int {
	counts := map[catalog.Outcome]int{}
	for _, r := range results {
		counts[r.Outcome]++
	}
	return counts
}

// readDocuments reads the documents of a directory, a file, or standard input. The error names all that is wrong.
func (c *catalogCommand) readDocuments(name string) ([]catalogdoc.Document, error) {
	if name == "-" {
		return parseDocuments("standard input", c.stdin)
	}
	files, err := documentFiles(name)
	if err != nil {
		return nil, err
	}
	var documents []catalogdoc.Document
	var faults catalogdoc.Faults
	for _, file := range files {
		found, err := readDocumentFile(file)
		var more catalogdoc.Faults
		if errors.As(err, &more) {
			faults = append(faults, more...)
		} else if err != nil {
			return nil, err
		}
		documents = append(documents, found...)
	}
	if len(faults) > 0 {
		faults = faults[:min(len(faults), catalogdoc.MaxFaults)]
		return nil, fmt.Errorf("nothing was published:\n%w", faults)
	}
	return documents, nil
}

// documentFiles returns the files to read for a name, in the order of their names.
func documentFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var files []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(path))) {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s holds no .yaml or .yml file", name)
	}
	return files, err
}

func readDocumentFile(name string) ([]catalogdoc.Document, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseDocuments(name, f)
}

func parseDocuments(name string, r io.Reader) ([]catalogdoc.Document, error) {
	stream, err := io.ReadAll(io.LimitReader(r, maxCatalogFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(stream) > maxCatalogFile {
		return nil, fmt.Errorf("%s is larger than %d MiB: split it", name, maxCatalogFile>>20)
	}
	documents, err := catalogdoc.Parse(name, stream, time.Now())
	if err == nil && len(documents) == 0 {
		err = fmt.Errorf("%s holds no document", name)
	}
	return documents, err
}

// countProgress shows a bar on a terminal.
func countProgress(w io.Writer, what string, total int) (progress func(done int), end func()) {
	if !telemetry.IsTerminal(w) {
		return nil, func() {}
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	return func(done int) { _ = bar.Set(done) }, func() { _ = bar.Finish() }
}
