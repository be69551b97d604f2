package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
)

// EvidenceSize is how long the JSON form of evidence is at most, in bytes. Only the labels of a search can exceed it: they
// are always kept whole, because a search cannot be run again without them. With 10 custom keys and 50 values of the
// greatest length they take up to 48 KiB; the ranking then stands without results. The outcomes of a search that ranks by
// them come on top, at most 14 KiB.
const EvidenceSize = 2048

// evidenceFormat is the version of the JSON form.
const evidenceFormat = 1

// Evidence is what is recorded of a search so that it can be run again and must give the same, bit for bit. It names the
// catalogue by its version, so it needs no copy of the workflows.
type Evidence struct {
	CatalogVersion int64
	Weights        Weights
	WeightsVersion string
	// Search is what was asked, without detected labels that count nothing and without Explain.
	Search datastorage.WorkflowSearch
	Total  int
	// Returned is how many results the search returned, and Results the first of them, as many as fit.
	Returned int
	Results  []RankedResult
	// Ranking is the digest of all results that the search returned, see Result.Ranking.
	Ranking string
	// Outcomes are what the search ranked by beside labels; nil when it did not.
	Outcomes *Outcomes
}

// RankedResult is one result of a recorded search.
type RankedResult struct {
	WorkflowID uuid.UUID `json:"workflow_id"`
	Score      Score     `json:"final_score"`
}

// Ranking returns the digest of the results: the SHA-256, in hex digits, of "datastorage/ranking/1\n", the catalogue's
// version (8 bytes, big endian), the version of the weights (12 characters), and for each result the 16 bytes of its
// workflow_id and its score in 1/10 000 (4 bytes, big endian).
func (r *Result) Ranking() string {
	b := make([]byte, 0, 64+20*len(r.Matches))
	b = append(b, "datastorage/ranking/1\n"...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.CatalogVersion))
	b = append(b, r.WeightsVersion...)
	for i := range r.Matches {
		b = append(b, r.Matches[i].Workflow.ID[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(r.Matches[i].Score))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Evidence returns what is to be recorded of a search that this snapshot answered with r.
func (s *Snapshot) Evidence(q *datastorage.WorkflowSearch, r *Result) *Evidence {
	e := &Evidence{
		CatalogVersion: r.CatalogVersion, Weights: *s.weights, WeightsVersion: r.WeightsVersion, Search: *q, Total: r.Total,
		Returned: len(r.Matches), Results: make([]RankedResult, len(r.Matches)), Ranking: r.Ranking(), Outcomes: r.Outcomes,
	}
	e.Search.Explain, e.Search.Detected.Other = false, nil
	for i := range r.Matches {
		e.Results[i] = RankedResult{WorkflowID: r.Matches[i].Workflow.ID, Score: r.Matches[i].Score}
	}
	return e
}

// evidenceJSON is the JSON form of Evidence, as it is read.
type evidenceJSON struct {
	AsOf           *time.Time      `json:"as_of"`
	CatalogVersion int64           `json:"catalog_version"`
	Filters        evidenceFilters `json:"filters"`
	Format         int             `json:"format"`
	MinScore       Score           `json:"min_score"`
	Outcomes       *Outcomes       `json:"outcomes"`
	Ranking        string          `json:"ranking_sha256"`
	RemediationID  string          `json:"remediation_id"`
	Results        []RankedResult  `json:"results"`
	Returned       int             `json:"returned"`
	TopK           int             `json:"top_k"`
	Total          int             `json:"total_results"`
	Weights        Weights         `json:"weights"`
	WeightsVersion string          `json:"weights_version"`
}

type evidenceFilters struct {
	ActionType   string              `json:"action_type"`
	Component    string              `json:"component"`
	CustomLabels map[string][]string `json:"custom_labels"`
	Detected     *evidenceDetected   `json:"detected_labels"`
	Environment  string              `json:"environment"`
	Priority     string              `json:"priority"`
	Severity     string              `json:"severity"`
	SignalType   string              `json:"signal_type"`
	Statuses     []string            `json:"status"`
}

type evidenceDetected struct {
	Failed          []string `json:"failed_detections"`
	GitOpsManaged   *bool    `json:"gitOpsManaged"`
	GitOpsTool      string   `json:"gitOpsTool"`
	HelmManaged     *bool    `json:"helmManaged"`
	HPAEnabled      *bool    `json:"hpaEnabled"`
	NetworkIsolated *bool    `json:"networkIsolated"`
	PDBProtected    *bool    `json:"pdbProtected"`
	ServiceMesh     string   `json:"serviceMesh"`
	Stateful        *bool    `json:"stateful"`
}

// UnmarshalJSON reads the JSON form back. It refuses evidence of another format, without a search that can be run again,
// or with weights that are not those of their version.
func (e *Evidence) UnmarshalJSON(raw []byte) error {
	var form evidenceJSON
	if err := json.Unmarshal(raw, &form); err != nil {
		return fmt.Errorf("not the evidence of a search: %w", err)
	}
	if err := form.check(); err != nil {
		return fmt.Errorf("not the evidence of a search: %w", err)
	}
	f := &form.Filters
	*e = Evidence{
		CatalogVersion: form.CatalogVersion, Weights: form.Weights, WeightsVersion: form.WeightsVersion, Total: form.Total,
		Returned: form.Returned, Results: form.Results, Ranking: form.Ranking, Outcomes: form.Outcomes,
		Search: datastorage.WorkflowSearch{
			SignalType: f.SignalType, Severity: f.Severity, Component: f.Component, Environment: f.Environment, Priority: f.Priority,
			CustomLabels: f.CustomLabels, Statuses: f.Statuses, ActionType: f.ActionType, TopK: form.TopK, MinScore: int(form.MinScore),
			RemediationID: form.RemediationID,
		},
	}
	if form.AsOf != nil {
		e.Search.AsOf = *form.AsOf
	}
	if d := f.Detected; d != nil {
		e.Search.Detected = datastorage.DetectedLabels{
			GitOpsManaged: d.GitOpsManaged, PDBProtected: d.PDBProtected, HPAEnabled: d.HPAEnabled, Stateful: d.Stateful, HelmManaged: d.HelmManaged,
			NetworkIsolated: d.NetworkIsolated, GitOpsTool: d.GitOpsTool, ServiceMesh: d.ServiceMesh, Failed: d.Failed,
		}
	}
	return nil
}

func (form *evidenceJSON) check() error {
	switch {
	case form.Format != evidenceFormat:
		return fmt.Errorf("format %d is not known, only %d", form.Format, evidenceFormat)
	case form.TopK < 1 || form.TopK > datastorage.MaxTopK:
		return fmt.Errorf("top_k must lie between 1 and %d, not %d", datastorage.MaxTopK, form.TopK)
	case len(form.Filters.Statuses) == 0:
		return errors.New("filters.status must name a status")
	case form.CatalogVersion < 0 || len(form.Results) > form.Returned || form.Returned > form.TopK || form.Total < form.Returned:
		return errors.New("its numbers contradict each other")
	}
	if form.Outcomes != nil {
		if err := form.Outcomes.check(); err != nil {
			return err
		}
	}
	if err := form.Weights.Validate(); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	if version := form.Weights.Version(); version != form.WeightsVersion {
		return fmt.Errorf("weights_version is %.32q, its weights are version %s", form.WeightsVersion, version)
	}
	return nil
}
