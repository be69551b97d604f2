package httpapi

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/catalogdoc"
)

// maxImportBody is the largest body of an import in bytes.
const maxImportBody = 16 << 20

// importDoc is the answer to an import.
type importDoc struct {
	DryRun    bool        `json:"dry_run"`
	Created   int         `json:"created"`
	Updated   int         `json:"updated"`
	Unchanged int         `json:"unchanged"`
	Conflicts int         `json:"conflicts"`
	Results   []importRow `json:"results"`
}

// importRow is what became of one document.
type importRow struct {
	Document   int             `json:"document"`
	Line       int             `json:"line"`
	Kind       string          `json:"kind"`
	Name       string          `json:"name"`
	Version    string          `json:"version,omitzero"`
	Outcome    catalog.Outcome `json:"outcome"`
	WorkflowID uuid.UUID       `json:"workflow_id,omitzero"`
	Detail     string          `json:"detail,omitzero"`
}

// importCatalogue stores the documents of a stream. One fault in it, and nothing is stored.
func (s *Server) importCatalogue(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	dryRun := p.flag("dry_run")
	if err := p.err(); err != nil {
		return nil, err
	}
	documents, err := s.readDocuments(c)
	if err != nil {
		return nil, err
	}
	items := make([]catalog.ImportItem, len(documents))
	for i, d := range documents {
		items[i] = catalog.ImportItem{Workflow: d.Workflow, ActionType: d.ActionType}
	}
	imported, err := s.cfg.Catalogue.Import(c.Context(), items, catalog.ImportOptions{DryRun: dryRun, By: s.actor(c)})
	if e, ok := errors.AsType[*datastorage.Error](err); ok && len(imported) > 0 {
		told := *e
		told.Detail = fmt.Sprintf("%s; the first %d of %d documents are stored: send the same again", e.Detail, len(imported), len(items))
		return nil, &told
	}
	if err != nil {
		return nil, err
	}
	return encode(http.StatusOK, newImportDoc(documents, imported, dryRun))
}

func newImportDoc(documents []catalogdoc.Document, imported []catalog.Imported, dryRun bool) importDoc {
	doc := importDoc{DryRun: dryRun, Results: make([]importRow, len(imported))}
	counts := map[catalog.Outcome]*int{
		catalog.Created: &doc.Created, catalog.Updated: &doc.Updated, catalog.Unchanged: &doc.Unchanged, catalog.Conflict: &doc.Conflicts,
	}
	for i, result := range imported {
		row := &doc.Results[i]
		*row = importRow{Document: i, Line: documents[i].Line, Outcome: result.Outcome, WorkflowID: result.WorkflowID, Detail: result.Detail}
		if w := documents[i].Workflow; w != nil {
			row.Kind, row.Name, row.Version = catalogdoc.KindWorkflow, w.Name, w.Version
		} else {
			row.Kind, row.Name = catalogdoc.KindActionType, documents[i].ActionType.Name
		}
		*counts[result.Outcome]++
	}
	return doc
}

// readDocuments reads the body: YAML, or JSON with the YAML as the member documents.
func (s *Server) readDocuments(c *call) ([]catalogdoc.Document, error) {
	body, err := s.readBody(c, maxImportBody, yamlTypes...)
	if err != nil {
		return nil, err
	}
	stream := body
	if media, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type")); !slices.Contains(yamlTypes, media) {
		text, err := datastorage.DecodeCatalogueImport(stream)
		if err != nil {
			return nil, err
		}
		stream = []byte(text)
	}
	documents, err := catalogdoc.Parse("", stream, s.cfg.Now())
	if err != nil {
		return nil, documentFaults(err)
	}
	if len(documents) == 0 {
		return nil, datastorage.Errorf(datastorage.CodeValidation, "the body holds no document")
	}
	return documents, nil
}

// yamlTypes are the media types of YAML, the registered one first.
var yamlTypes = []string{"application/yaml", "application/x-yaml", "text/yaml"}

// documentFaults returns the problem of a stream that cannot be read: each field under its document's position.
func documentFaults(err error) error {
	faults, ok := errors.AsType[catalogdoc.Faults](err)
	if !ok {
		return err
	}
	fields := map[string]string{}
	for _, f := range faults {
		name := strconv.Itoa(f.Document)
		if f.Field != "" {
			name += "." + f.Field
		}
		if _, ok := fields[name]; !ok {
			fields[name] = fmt.Sprintf("line %d: %s", f.Line, f.Text)
		}
	}
	first := faults[0]
	detail := fmt.Sprintf("document at index %d, line %d: %s", first.Document, first.Line, first.Text)
	if len(faults) > 1 {
		detail += fmt.Sprintf("; and %d more", len(faults)-1)
	}
	return &datastorage.Error{Code: datastorage.CodeValidation, Detail: detail + "; nothing was stored", Fields: fields}
}
