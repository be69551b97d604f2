package story

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/project"
	"github.com/datastorage-io/datastorage/internal/remediation"
)

// Reconstruction is a RemediationRequest as its events hold it.
type Reconstruction struct {
	CorrelationID string `json:"correlation_id"`
	// YAML is the RemediationRequest. The same events give the same bytes.
	YAML       string     `json:"remediation_request_yaml"`
	Validation Validation `json:"validation"`
	// ReconstructedAt is the time of the latest event that was read: what the document is as of.
	ReconstructedAt time.Time      `json:"reconstructed_at"`
	Fields          []FieldOrigin  `json:"fields"`
	Missing         []MissingField `json:"missing"`
	Counted         int            `json:"fields_counted"`
	Found           int            `json:"fields_found"`
	EventCount      int            `json:"event_count"`
	Truncated       bool           `json:"events_truncated,omitzero"`
}

// Validation says how far the document can be relied on.
type Validation struct {
	// IsValid says that every required field is there.
	IsValid bool `json:"is_valid"`
	// Completeness is the share of the counted fields that are there, in percent, rounded down.
	Completeness int      `json:"completeness"`
	Errors       []string `json:"errors"`
	Warnings     []string `json:"warnings"`
}

// FieldOrigin is the event that a field comes from.
type FieldOrigin struct {
	Field string `json:"field"`
	Origin
}

// MissingField is a field that no event holds, and the events that would have held it.
type MissingField struct {
	Field    string   `json:"field"`
	Required bool     `json:"required"`
	Counted  bool     `json:"counted"`
	Events   []string `json:"events"`
}

// signalReceived is the event that a RemediationRequest begins with.
const signalReceived = "gateway.signal.received"

// Reconstruct makes the RemediationRequest of a correlation from its events. A correlation_id that no event has is
// CodeNotFound; one whose signal is not recorded cannot be reconstructed, which is CodeValidation.
func Reconstruct(ctx context.Context, src Source, correlationID string) (*Reconstruction, error) {
	out := &Reconstruction{CorrelationID: correlationID, Fields: []FieldOrigin{}, Missing: []MissingField{}}
	out.Validation.Errors, out.Validation.Warnings = []string{}, []string{}
	var facts remediation.Facts
	signalled := false
	r, err := readAll(ctx, src, correlationID, "", 0, func(_ *datastorage.Event, e *project.Event) error {
		facts.Add(e)
		signalled = signalled || e.Type == signalReceived
		out.ReconstructedAt = e.Time
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case r.count == 0:
		return nil, NotFound()
	case !signalled:
		return nil, datastorage.Errorf(datastorage.CodeValidation, "a %s event is required for reconstruction: none of the %d events of this correlation_id is one", signalReceived, r.count)
	}
	out.EventCount, out.Truncated = r.count, r.truncated
	document := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	put(document, "apiVersion", scalarNode("!!str", "kubernaut.ai/v1alpha1"))
	put(document, "kind", scalarNode("!!str", "RemediationRequest"))
	put(document, "metadata", &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	out.fill(document, &facts)
	out.annotate(document)
	if out.YAML, err = written(document); err != nil {
		return nil, err
	}
	return out, nil
}

// fill puts every field into the document that an event holds.
func (out *Reconstruction) fill(document *yaml.Node, facts *remediation.Facts) {
	fields := requestFields()
	for i := range fields {
		f := &fields[i]
		value, fact := f.find(facts)
		if f.Counts {
			out.Counted++
		}
		if value == nil {
			out.miss(f)
			continue
		}
		if f.Counts {
			out.Found++
		}
		put(document, f.Field, value)
		out.Fields = append(out.Fields, FieldOrigin{f.Field, originOf(fact)})
	}
	v := &out.Validation
	v.IsValid = len(v.Errors) == 0
	v.Completeness = 100 * out.Found / out.Counted
}

// miss notes a field that no event holds.
func (out *Reconstruction) miss(f *requestField) {
	sources := f.sources()
	out.Missing = append(out.Missing, MissingField{f.Field, f.Required, f.Counts, sources})
	sentence := fmt.Sprintf("%s is missing: no event of %s holds it", f.Field, strings.Join(sources, ", "))
	switch {
	case f.Required:
		out.Validation.Errors = append(out.Validation.Errors, sentence)
	case f.Counts:
		out.Validation.Warnings = append(out.Validation.Warnings, sentence)
	}
}

// annotate marks the document as one that was made from events.
func (out *Reconstruction) annotate(document *yaml.Node) {
	annotations := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, a := range [...][2]string{
		{"kubernaut.ai/correlation-id", out.CorrelationID},
		{"kubernaut.ai/reconstructed", "true"},
		{"kubernaut.ai/reconstruction-completeness", strconv.Itoa(out.Validation.Completeness)},
		{"kubernaut.ai/reconstruction-source", "audit-trail"},
	} {
		annotations.Content = append(annotations.Content, scalarNode("!!str", a[0]), scalarNode("!!str", a[1]))
	}
	put(document, "metadata.annotations", annotations)
}

func written(document *yaml.Node) (string, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return "", fmt.Errorf("write a document: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return "", fmt.Errorf("write a document: %w", err)
	}
	return b.String(), nil
}
