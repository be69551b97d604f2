package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
)

func (c *catalogCommand) exportCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "export [DIR|-]",
		Short: "Write the catalogue as YAML documents",
		Long: `Writes action types and active workflows as documents that import takes: as one stream to
standard output, or as a file for each below a directory, which is made and must be empty.
A document that was imported comes out as it was; a workflow that came over the API comes
as a WorkflowRecord.

The state of a workflow is no part of its document, so only active versions are written;
--all writes every version, and a document that is disabled here is active where it is
imported. A WorkflowRecord keeps its status.`,
		Example: `  datastorage catalog export > catalog.yaml
  datastorage catalog export ./backup --all`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%q takes one directory, or - for standard output", cmd.CommandPath())
			}
			return nil
		},
	}
	addStoreFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "write every version, whatever its status")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := c.load(cmd)
		if err != nil {
			return err
		}
		files := exported(s, all)
		if len(args) == 0 || args[0] == "-" {
			return writeStream(c.stdout, files)
		}
		if err := writeFiles(args[0], files); err != nil {
			return err
		}
		fmt.Fprintf(c.stderr, "%d documents in %s, catalogue version %d\n", len(files), args[0], s.Version())
		return nil
	}
	return cmd
}

// exportedFile is one document, and the name of a file for it.
type exportedFile struct {
	name     string
	document []byte
}

// exported returns the documents of a catalogue: action types by name, then workflows in the order of their publication.
func exported(s *catalog.Snapshot, all bool) []exportedFile {
	f := catalog.Filter{Limit: math.MaxInt32}
	if !all {
		f.Status = []string{datastorage.StatusActive}
	}
	var files []exportedFile
	for _, a := range s.ActionTypes() {
		name := filepath.Join("action-types", fileName(a.Name))
		files = append(files, exportedFile{name, catalogdoc.AppendActionType(nil, a)})
	}
	items := s.List(&f).Items
	for i := len(items) - 1; i >= 0; i-- {
		w := items[i].Workflow
		name := filepath.Join("workflows", fileName(w.Name+"-"+w.Version))
		files = append(files, exportedFile{name, catalogdoc.AppendWorkflow(nil, w)})
	}
	return files
}

// fileName makes a name for a file of a text that may hold anything, without an extension.
func fileName(s string) string {
	const longest = 200
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, s)
	return strings.TrimLeft(safe[:min(len(safe), longest)], ".")
}

func writeStream(w io.Writer, files []exportedFile) error {
	out := bufio.NewWriter(w)
	for _, f := range files {
		if _, err := out.Write(f.document); err != nil {
			return err
		}
	}
	return out.Flush()
}

// writeFiles writes each document to a file of its own below dir.
func writeFiles(dir string, files []exportedFile) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a directory that is, or does not exist", dir)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, part := range []string{"action-types", "workflows"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o755); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(dir, f.name), f.document); err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file under name, or under name with a number behind it when another text has the same name.
func writeNew(name string, document []byte) error {
	path := name + ".yaml"
	for n := 2; ; n++ {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			path = fmt.Sprintf("%s-%d.yaml", name, n)
			continue
		}
		if err != nil {
			return err
		}
		_, err = file.Write(document)
		return errors.Join(err, file.Close())
	}
}
