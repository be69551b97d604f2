package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestAlerts checks that each alert watches metrics that exist, and that its runbook has a section for it.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Runbook string }
			}
		}
	}
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "deploy", "alerts", "datastorage.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	known := registered(t, filepath.Join(root, "internal"))
	names := regexp.MustCompile(`datastorage_\w+`)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			found := names.FindAllString(r.Expr, -1)
			if len(found) == 0 || r.Annotations.Summary == "" {
				t.Errorf("%s watches no metric, or says nothing", r.Alert)
			}
			for _, name := range found {
				if !known[name] {
					t.Errorf("%s watches %s, which nothing registers", r.Alert, name)
				}
			}
			page, section, _ := strings.Cut(r.Annotations.Runbook, "#")
			runbook, err := os.ReadFile(filepath.Join(root, page))
			if err != nil || section != strings.ToLower(r.Alert) || !strings.Contains(string(runbook), "\n### "+r.Alert+"\n") {
				t.Errorf("%s has no section in its runbook %s: %v", r.Alert, r.Annotations.Runbook, err)
			}
		}
	}
}

// registered returns the names of metrics that stand in the code as texts.
func registered(t *testing.T, dir string) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	literal := regexp.MustCompile(`"(datastorage_\w+)"`)
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range literal.FindAllStringSubmatch(string(code), -1) {
			known[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}
