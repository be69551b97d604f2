package catalogdoc_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/datastorage-io/datastorage/internal/catalogdoc"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```\n")

// TestParse_docs holds the documents of docs/catalogue.md to what an import takes.
func TestParse_docs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := yamlBlock.FindAllSubmatch(page, -1)
	if len(blocks) != 1 {
		t.Fatalf("the page has %d blocks of documents", len(blocks))
	}
	documents, err := catalogdoc.Parse("docs/catalogue.md", blocks[0][1], time.UnixMicro(1_800_000_000_000_000))
	if err != nil || len(documents) != 2 {
		t.Fatalf("%d documents, error %v", len(documents), err)
	}
	w, action := documents[0].Workflow, documents[1].ActionType
	if w == nil || action == nil {
		t.Fatal("the page's documents are no workflow and action type")
	}
	if w.Title != "Restart payments" || w.ContainerDigest == "" || w.ActionType != action.Name {
		t.Errorf("the page's workflow is %q with digest %q and action type %q", w.Title, w.ContainerDigest, w.ActionType)
	}
}
