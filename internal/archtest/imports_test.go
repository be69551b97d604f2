package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is the path that every package of this repository starts with.
const module = "github.com/datastorage-io/datastorage"

// root is the local path of the root package.
const root = "./."

// pkg is one directory with Go files: the name that its files declare and what they import, each list sorted and without
// duplicates.
type pkg struct {
	name        string
	imports     []string
	testImports []string // of _test.go files only
}

// graph holds the packages of the module by their local path: "./" and the path relative to the module's root. The root
// package is root.
type graph map[string]pkg

// loadGraph reads the import clauses of every Go file under top, whatever its build constraints. Files are read in this
// process rather than by "go list", so that the test cache of the go command notices when one of them changes.
func loadGraph(top string) (graph, error) {
	g := graph{}
	err := filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != top && skipDir(file, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(d.Name(), ".go") {
			return g.addFile(top, file)
		}
		return nil
	})
	return g, err
}

// skipDir reports whether the go command ignores the directory, or whether it is a module of its own.
func skipDir(dir, name string) bool {
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (g graph) addFile(top, file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(top, filepath.Dir(file))
	if err != nil {
		return err
	}
	dir = "./" + filepath.ToSlash(dir)
	p := g[dir]
	isTest := strings.HasSuffix(file, "_test.go")
	if !isTest || p.name == "" {
		p.name = strings.TrimSuffix(parsed.Name.Name, "_test")
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if isTest {
			p.testImports = insert(p.testImports, local(imported))
		} else {
			p.imports = insert(p.imports, local(imported))
		}
	}
	g[dir] = p
	return nil
}

// local turns an import path of this module into its local path and leaves every other one as it is.
func local(imported string) string {
	if imported == module {
		return root
	}
	if rest, ok := strings.CutPrefix(imported, module+"/"); ok {
		return "./" + rest
	}
	return imported
}

func insert(list []string, s string) []string {
	if at, found := slices.BinarySearch(list, s); !found {
		return slices.Insert(list, at, s)
	}
	return list
}

// isStandard reports whether the import path belongs to the standard library: its first element has no dot.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// within reports whether the path is one of the prefixes or lies below one. The prefix "..." holds every path, "std" the
// standard library.
func within(p string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		switch prefix {
		case "...":
			return true
		case "std":
			return isStandard(p)
		default:
			return p == prefix || strings.HasPrefix(p, prefix+"/")
		}
	})
}

// pathTo returns the shortest chain of non-test imports within the module that leads from one package to an import for
// which found holds, both ends included, or nil.
func (g graph) pathTo(from string, found func(imported string) bool) []string {
	before := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, imported := range g[queue[0]].imports {
			if found(imported) {
				chain := []string{imported}
				for at := queue[0]; at != ""; at = before[at] {
					chain = append(chain, at)
				}
				slices.Reverse(chain)
				return chain
			}
			_, isLocal := g[imported]
			if _, seen := before[imported]; isLocal && !seen {
				before[imported] = queue[0]
				queue = append(queue, imported)
			}
		}
	}
	return nil
}

// sorted returns the package paths in order, so that findings come in the same order every time.
func (g graph) sorted() []string { return slices.Sorted(maps.Keys(g)) }
