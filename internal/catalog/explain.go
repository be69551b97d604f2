package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/datastorage-io/datastorage"
)

// Term is one part of a score. The points of all terms of a match add up to ten times its score.
type Term struct {
	// Label is "base", a mandatory label, a detected label, or "custom_labels." and a key.
	Label string
	// Query and Workflow are the two values; several are joined with ", ", an absent one is "".
	Query, Workflow string
	Points          Points
	// Skipped says that the term counts nothing because the search names the label in failed_detections.
	Skipped bool
}

const (
	termBase   = "base"
	customTerm = "custom_labels."
)

// terms lists everything that the score of a workflow is made of, also what adds nothing: the base, the five mandatory
// labels, each detected label that the search gives, and each pair of its custom labels, ordered by key.
func (s *Snapshot) terms(q *datastorage.WorkflowSearch, w *datastorage.Workflow) []Term {
	terms := []Term{{Label: termBase, Points: Points(s.weights.Base)}}
	for label, name := range labelNames {
		terms = append(terms, Term{
			Label: name, Query: askedValue(q, label), Workflow: strings.Join(labelValues(&w.Labels, label), ", "),
		})
	}
	terms = s.detectedTerms(terms, &q.Detected, &w.Detected)
	for _, key := range slices.Sorted(maps.Keys(q.CustomLabels)) {
		terms = s.customTerms(terms, key, q.CustomLabels[key], w.CustomLabels[key])
	}
	return terms
}

func (s *Snapshot) detectedTerms(terms []Term, q, w *datastorage.DetectedLabels) []Term {
	asked, says := signatureOf(q, true), signatureOf(w, false)
	have := flags(w)
	for i, flag := range flags(q) {
		if flag == nil || !*flag {
			continue
		}
		t := Term{Label: flagNames[i], Query: "true", Workflow: spellFlag(have[i]), Skipped: !asked.flag(i)}
		if !t.Skipped {
			t.Points = Points(flagTerm(s.weights, i, says.flag(i)))
		}
		terms = append(terms, t)
	}
	if q.GitOpsTool != "" {
		terms = append(terms, Term{
			Label: nameGitOpsTool, Query: q.GitOpsTool, Workflow: w.GitOpsTool,
			Points: Points(toolTerm(s.weights, asked.tool(), says.tool())), Skipped: asked.tool() == noValue,
		})
	}
	if q.ServiceMesh != "" {
		terms = append(terms, Term{
			Label: nameServiceMesh, Query: q.ServiceMesh, Workflow: w.ServiceMesh,
			Points: Points(meshTerm(s.weights, asked.mesh(), says.mesh())), Skipped: asked.mesh() == noValue,
		})
	}
	return terms
}

func spellFlag(flag *bool) string {
	switch {
	case flag == nil:
		return ""
	case *flag:
		return "true"
	}
	return "false"
}

func (s *Snapshot) customTerms(terms []Term, key string, asked, have []string) []Term {
	values := strings.Join(have, ", ")
	for i, value := range asked {
		if slices.Contains(asked[:i], value) {
			continue
		}
		t := Term{Label: customTerm + key, Query: value, Workflow: values}
		switch {
		case slices.Contains(have, value):
			t.Points = Points(s.weights.CustomLabel)
		case slices.Contains(have, datastorage.Wildcard):
			t.Points = Points(s.weights.CustomLabelWildcard)
		}
		terms = append(terms, t)
	}
	return terms
}
