package datastorage

import (
	"slices"
	"strings"
	"time"
)

// WorkflowPatch is a change of a workflow's state that a client asks for; "" leaves a member as it is.
type WorkflowPatch struct {
	Status         string
	DisabledBy     string
	DisabledReason string
}

// WorkflowDisable asks to disable a workflow; both members may be "".
type WorkflowDisable struct {
	Reason    string
	UpdatedBy string
}

// immutableMembers are the members of a workflow that no request changes.
var immutableMembers = func() []string {
	names := []string{
		"workflow_id", "version", "content", "content_hash", "labels", "custom_labels", "detected_labels", "parameters",
		"container_digest", "approved_at", "expected_success_rate", "expected_duration_seconds", "guidance",
		"is_latest_version", "actual_success_rate", "total_executions", "successful_executions",
		"disabled_at", "status_reason", "created_at", "updated_at", "updated_by",
	}
	for i := range workflowTexts {
		if name := workflowTexts[i].name; name != "status" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}()

// DecodeWorkflowPatch reads a change of a workflow's state. The error is an *Error: CodeImmutableField when the body has
// a member of a workflow that cannot change, else CodeValidation; either names every such field.
func DecodeWorkflowPatch(raw []byte) (WorkflowPatch, error) {
	o, err := readObject(raw)
	if err != nil {
		return WorkflowPatch{}, err
	}
	if err := o.immutable(); err != nil {
		return WorkflowPatch{}, err
	}
	var p WorkflowPatch
	o.text(&textRule{"status", 0, false, WorkflowStatuses}, &p.Status)
	o.text(&textRule{"disabled_by", MaxWorkflowText, false, nil}, &p.DisabledBy)
	o.text(&textRule{"disabled_reason", MaxWorkflowText, false, nil}, &p.DisabledReason)
	return p, o.finish()
}

// immutable returns an error that names the members that a patch must not have, nil when there are none.
func (o *object) immutable() error {
	fields := faults{}
	var named []string
	for _, name := range immutableMembers {
		if o.members[name] != nil || o.bad[name] != "" {
			fields[name] = name + " cannot be changed"
			named = append(named, name)
		}
	}
	if len(named) == 0 {
		return nil
	}
	return &Error{
		Code: CodeImmutableField, Fields: fields,
		Detail: "a workflow is immutable but for status, disabled_by and disabled_reason: " + strings.Join(named, ", ") +
			" cannot be changed; publish a new version instead",
	}
}

// DecodeWorkflowDisable reads a request to disable a workflow; the body may be empty. The error is an *Error with
// CodeValidation that names every bad field.
func DecodeWorkflowDisable(raw []byte) (WorkflowDisable, error) {
	if len(raw) == 0 {
		return WorkflowDisable{}, nil
	}
	o, err := readObject(raw)
	if err != nil {
		return WorkflowDisable{}, err
	}
	var d WorkflowDisable
	o.text(&textRule{"reason", MaxWorkflowText, false, nil}, &d.Reason)
	o.text(&textRule{"updated_by", MaxWorkflowText, false, nil}, &d.UpdatedBy)
	return d, o.finish()
}

// DecodeCatalogueImport reads a request to import YAML documents that are wrapped in JSON, {"documents": "…"}. The error is
// an *Error with CodeValidation.
func DecodeCatalogueImport(raw []byte) (documents string, err error) {
	o, err := readObject(raw)
	if err != nil {
		return "", err
	}
	o.text(&textRule{"documents", 0, true, nil}, &documents)
	return documents, o.finish()
}

// Patch returns the state after a change at now, which is s when nothing changes. A workflow that becomes disabled keeps
// since when, by whom and why; for one that stops being so these are cleared. The reason of any change of status is also
// its StatusReason, and who is named with it its UpdatedBy.
func (s WorkflowState) Patch(p WorkflowPatch, now time.Time) WorkflowState {
	next := s
	if p.Status != "" && p.Status != s.Status {
		next = WorkflowState{Status: p.Status, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy}
		if p.Status == StatusDisabled {
			next.DisabledAt = truncate(now)
		}
	}
	if p.DisabledReason != "" {
		next.StatusReason = p.DisabledReason
	}
	if p.DisabledBy != "" {
		next.UpdatedBy = p.DisabledBy
	}
	if next.Status == StatusDisabled {
		setSent(&next.DisabledBy, p.DisabledBy)
		setSent(&next.DisabledReason, p.DisabledReason)
	}
	if next != s {
		next.UpdatedAt = truncate(now)
	}
	return next
}

// Disable returns the state after a request to disable at now; one that is disabled stays as it is.
func (s WorkflowState) Disable(d WorkflowDisable, now time.Time) WorkflowState {
	if s.Status == StatusDisabled {
		return s
	}
	return s.Patch(WorkflowPatch{Status: StatusDisabled, DisabledBy: d.UpdatedBy, DisabledReason: d.Reason}, now)
}

// setSent sets s to what was sent, if anything was.
func setSent(s *string, sent string) {
	if sent != "" {
		*s = sent
	}
}
