package datastorage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxWorkflowContentBytes is the largest content of a workflow.
	MaxWorkflowContentBytes = 256 << 10
	// MaxWorkflowText is the longest of a workflow's other texts, in characters, where the contract names no limit.
	MaxWorkflowText = 16_384
	// MaxWorkflowParametersBytes is the largest parameters of a workflow, counted as canonical bytes.
	MaxWorkflowParametersBytes = 64 << 10
	// MaxLabelValues is how many values each mandatory label may have.
	MaxLabelValues = 64
	// MaxLabelLength is the longest value of a mandatory label, in characters.
	MaxLabelLength = 255
	// DefaultEngine is the execution_engine of a workflow that names none.
	DefaultEngine = "tekton"
)

// workflowText is one text member of a workflow.
type workflowText struct {
	textRule
	target func(*Workflow) *string
}

// workflowTexts are the texts that a client sends and that need no rule of their own.
var workflowTexts = []workflowText{
	{textRule{"workflow_name", 255, true, nil}, func(w *Workflow) *string { return &w.Name }},
	{textRule{"name", 255, true, nil}, func(w *Workflow) *string { return &w.Title }},
	{textRule{"description", MaxWorkflowText, true, nil}, func(w *Workflow) *string { return &w.Description }},
	{textRule{"execution_engine", 50, false, nil}, func(w *Workflow) *string { return &w.Engine }},
	{textRule{"container_image", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.ContainerImage }},
	{textRule{"owner", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.Owner }},
	{textRule{"maintainer", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.Maintainer }},
	{textRule{"action_type", 100, false, nil}, func(w *Workflow) *string { return &w.ActionType }},
	{textRule{"previous_version", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.PreviousVersion }},
	{textRule{"version_notes", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.VersionNotes }},
	{textRule{"change_summary", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.ChangeSummary }},
	{textRule{"approved_by", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.ApprovedBy }},
	{textRule{"created_by", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.CreatedBy }},
	{textRule{"deprecation_notice", MaxWorkflowText, false, nil}, func(w *Workflow) *string { return &w.DeprecationNotice }},
	{textRule{"status", 0, false, WorkflowStatuses}, func(w *Workflow) *string { return &w.Status }},
}

// DecodeWorkflow reads a new workflow from a request body and fills in its defaults; its ID stays nil. What only the
// server says is ignored. The error is an *Error with CodeValidation that names every bad field by its path, for example
// labels.severity. CreatedAt, UpdatedAt and the time at which one that begins disabled was disabled are now.
func DecodeWorkflow(raw []byte, now time.Time) (*Workflow, error) {
	o, err := readObject(raw)
	if err != nil {
		return nil, err
	}
	w := &Workflow{}
	w.decodeSent(o)
	if err := o.finish(); err != nil {
		return nil, err
	}
	setDefault(&w.Engine, DefaultEngine)
	setDefault(&w.Status, StatusActive)
	w.CreatedAt, w.UpdatedAt = truncate(now), truncate(now)
	if w.Status == StatusDisabled {
		w.DisabledAt = w.CreatedAt
	}
	return w, nil
}

// ParseWorkflow reads a workflow back: ParseWorkflow(AppendWorkflow(nil, w)) equals w. It refuses bytes that
// AppendWorkflow does not write.
func ParseWorkflow(document []byte) (*Workflow, error) {
	o, err := readObject(document)
	if err != nil {
		return nil, fmt.Errorf("not a workflow: %w", err)
	}
	w := &Workflow{}
	w.decodeSent(o)
	o.id("workflow_id", &w.ID)
	o.time("created_at", &w.CreatedAt)
	o.serverState(&w.WorkflowState)
	if err := o.finish(); err != nil {
		return nil, fmt.Errorf("not a workflow: %w", err)
	}
	if again := AppendWorkflow(make([]byte, 0, len(document)), w); string(again) != string(document) {
		return nil, fmt.Errorf("not a workflow: it is written otherwise")
	}
	return w, nil
}

// decodeSent decodes the members that a client sends.
func (w *Workflow) decodeSent(o *object) {
	for i := range workflowTexts {
		f := &workflowTexts[i]
		o.text(&f.textRule, f.target(w))
	}
	o.take("version", w.decodeVersion)
	o.take("content", w.decodeContent)
	o.take("content_hash", w.decodeContentHash)
	w.Labels.decode(o)
	o.customLabels(&w.CustomLabels)
	w.Detected.decode(o)
	o.take("parameters", w.decodeParameters)
	o.take("container_digest", w.decodeDigest)
	o.time("approved_at", &w.ApprovedAt)
	o.take("expected_success_rate", w.decodeRate)
	o.take("expected_duration_seconds", w.decodeDuration)
	o.object("guidance", false, func(o *object) {
		var g Guidance
		g.decode(o)
		if g != (Guidance{}) {
			w.Guidance = &g
		}
	})
}

func (w *Workflow) decodeVersion(raw jsontext.Value) string {
	rule := textRule{"version", 50, true, nil}
	if fault := rule.decode(raw, &w.Version); fault != "" {
		return fault
	}
	if _, err := ParseSemVer(w.Version); err != nil {
		return err.Error()
	}
	return ""
}

func (w *Workflow) decodeContent(raw jsontext.Value) string {
	rule := textRule{"content", 0, true, nil}
	if fault := rule.decode(raw, &w.Content); fault != "" {
		return fault
	}
	if len(w.Content) > MaxWorkflowContentBytes {
		return "must be at most " + strconv.Itoa(MaxWorkflowContentBytes) + " bytes"
	}
	return ""
}

// decodeContentHash follows decodeContent.
func (w *Workflow) decodeContentHash(raw jsontext.Value) string {
	rule := textRule{"content_hash", 0, true, nil}
	if fault := rule.decode(raw, &w.ContentHash); fault != "" {
		return fault
	}
	w.ContentHash = strings.ToLower(w.ContentHash)
	if !isLowerHex(w.ContentHash, 2*sha256.Size) {
		return "must be 64 hexadecimal digits"
	}
	if w.Content != "" && w.ContentHash != HashContent(w.Content) {
		return "must be the SHA-256 of content"
	}
	return ""
}

// HashContent returns the SHA-256 of a content in lower-case hexadecimal digits, as content_hash holds it.
func HashContent(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func (w *Workflow) decodeParameters(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	var fault string
	w.Parameters, fault = canonicalObject(raw, MaxWorkflowParametersBytes)
	return fault
}

// canonicalObject brings a JSON object of at most limit bytes into canonical form, or says what is wrong with it.
func canonicalObject(raw jsontext.Value, limit int) (v jsontext.Value, fault string) {
	if raw[0] != '{' {
		return nil, "must be a JSON object"
	}
	var c canonicalizer
	v, _, fault = c.run(raw, 0)
	if fault == "" && len(v) > limit {
		fault = "must be at most " + strconv.Itoa(limit) + " bytes in canonical form"
	}
	return v, fault
}

func (w *Workflow) decodeDigest(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	s, ok := unquote(raw)
	digits, hasPrefix := strings.CutPrefix(s, "sha256:")
	if !ok || !hasPrefix || !isLowerHex(strings.ToLower(digits), 2*sha256.Size) {
		return "must be sha256: and 64 hexadecimal digits"
	}
	w.ContainerDigest = s
	return ""
}

func (w *Workflow) decodeRate(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	const fault = "must be a number from 0 to 1"
	rate, err := strconv.ParseFloat(string(raw), 64)
	if raw.Kind() != '0' || err != nil || rate < 0 || rate > 1 {
		return fault
	}
	rate = math.Abs(rate) // no negative zero
	w.ExpectedSuccessRate = &rate
	return ""
}

func (w *Workflow) decodeDuration(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	seconds, fault := wholeNumber(raw, 0, maxSafeInteger)
	w.ExpectedDuration = &seconds
	return fault
}

func (g *Guidance) decode(o *object) {
	for name, target := range g.members() {
		o.text(&textRule{name, MaxWorkflowText, false, nil}, target)
	}
}

// members are the members of the guidance as JSON in order.
func (g *Guidance) members() func(yield func(string, *string) bool) {
	return func(yield func(string, *string) bool) {
		_ = yield("what", &g.What) && yield("when_to_use", &g.WhenToUse) && yield("when_not_to_use", &g.WhenNotToUse) &&
			yield("preconditions", &g.Preconditions)
	}
}

// ParseWorkflowState reads a state back: ParseWorkflowState(AppendWorkflowState(nil, s)) equals s. It refuses bytes that
// AppendWorkflowState does not write.
func ParseWorkflowState(document []byte) (*WorkflowState, error) {
	o, err := readObject(document)
	if err != nil {
		return nil, fmt.Errorf("not the state of a workflow: %w", err)
	}
	s := &WorkflowState{}
	o.text(&textRule{"status", 0, true, WorkflowStatuses}, &s.Status)
	o.serverState(s)
	if err := o.finish(); err != nil {
		return nil, fmt.Errorf("not the state of a workflow: %w", err)
	}
	if again := AppendWorkflowState(make([]byte, 0, len(document)), s); string(again) != string(document) {
		return nil, fmt.Errorf("not the state of a workflow: it is written otherwise")
	}
	return s, nil
}

// serverState decodes what only the server says of a state.
func (o *object) serverState(s *WorkflowState) {
	o.text(&textRule{"status_reason", MaxWorkflowText, false, nil}, &s.StatusReason)
	o.time("disabled_at", &s.DisabledAt)
	o.text(&textRule{"disabled_by", MaxWorkflowText, false, nil}, &s.DisabledBy)
	o.text(&textRule{"disabled_reason", MaxWorkflowText, false, nil}, &s.DisabledReason)
	o.time("updated_at", &s.UpdatedAt)
	o.text(&textRule{"updated_by", MaxWorkflowText, false, nil}, &s.UpdatedBy)
}

// ParseActionType reads an action type back: ParseActionType(AppendActionType(nil, a)) equals a. It refuses bytes that
// AppendActionType does not write.
func ParseActionType(document []byte) (*ActionType, error) {
	o, err := readObject(document)
	if err != nil {
		return nil, fmt.Errorf("not an action type: %w", err)
	}
	a := &ActionType{}
	o.text(&textRule{"name", 100, true, nil}, &a.Name)
	o.object("guidance", false, a.Guidance.decode)
	o.text(&textRule{"content", 0, true, nil}, &a.Content)
	o.text(&textRule{"content_hash", 64, true, nil}, &a.ContentHash)
	o.time("updated_at", &a.UpdatedAt)
	if err := o.finish(); err != nil {
		return nil, fmt.Errorf("not an action type: %w", err)
	}
	if again := AppendActionType(make([]byte, 0, len(document)), a); string(again) != string(document) {
		return nil, fmt.Errorf("not an action type: it is written otherwise")
	}
	return a, nil
}
