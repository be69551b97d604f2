package datastorage

import (
	"strconv"
	"time"
)

// AppendWorkflow appends the JSON object that stands for a workflow, in storage and, with what is computed beside it, in
// an answer. Absent members are left out; a label with one value is a string, one with several an array.
func AppendWorkflow(b []byte, w *Workflow) []byte {
	b = appendUUID(b, `{"workflow_id":"`, w.ID)
	b = appendString(b, `,"workflow_name":`, w.Name)
	b = appendString(b, `,"version":`, w.Version)
	b = appendString(b, `,"name":`, w.Title)
	b = appendString(b, `,"description":`, w.Description)
	b = appendString(b, `,"content":`, w.Content)
	b = appendString(b, `,"content_hash":`, w.ContentHash)
	b = appendString(b, `,"execution_engine":`, w.Engine)
	b = append(b, `,"labels":`...)
	b = AppendLabels(b, &w.Labels)
	if len(w.CustomLabels) > 0 {
		b = append(b, `,"custom_labels":`...)
		b = AppendCustomLabels(b, w.CustomLabels)
	}
	if !w.Detected.isEmpty() {
		b = append(b, `,"detected_labels":`...)
		b = AppendDetectedLabels(b, &w.Detected)
	}
	if w.Guidance != nil {
		b = append(b, `,"guidance":`...)
		b = appendGuidance(b, w.Guidance)
	}
	if w.Parameters != nil {
		b = append(b, `,"parameters":`...)
		b = append(b, w.Parameters...)
	}
	b = appendOptional(b, `,"container_image":`, w.ContainerImage)
	b = appendOptional(b, `,"container_digest":`, w.ContainerDigest)
	b = appendOptional(b, `,"owner":`, w.Owner)
	b = appendOptional(b, `,"maintainer":`, w.Maintainer)
	b = appendOptional(b, `,"action_type":`, w.ActionType)
	b = appendOptional(b, `,"previous_version":`, w.PreviousVersion)
	b = appendOptional(b, `,"version_notes":`, w.VersionNotes)
	b = appendOptional(b, `,"change_summary":`, w.ChangeSummary)
	b = appendOptional(b, `,"approved_by":`, w.ApprovedBy)
	b = appendTimestamp(b, `,"approved_at":"`, w.ApprovedAt)
	if w.ExpectedSuccessRate != nil {
		b = append(b, `,"expected_success_rate":`...)
		b = strconv.AppendFloat(b, *w.ExpectedSuccessRate, 'g', -1, 64)
	}
	b = appendInt(b, `,"expected_duration_seconds":`, w.ExpectedDuration)
	b = appendOptional(b, `,"created_by":`, w.CreatedBy)
	b = appendOptional(b, `,"deprecation_notice":`, w.DeprecationNotice)
	b = appendTimestamp(b, `,"created_at":"`, w.CreatedAt)
	b = append(b, ',')
	b = appendState(b, &w.WorkflowState)
	return append(b, '}')
}

// AppendWorkflowState appends the JSON object that stands for a state in storage. Absent members are left out.
func AppendWorkflowState(b []byte, s *WorkflowState) []byte {
	b = append(b, '{')
	b = appendState(b, s)
	return append(b, '}')
}

// appendState appends the members of a state.
func appendState(b []byte, s *WorkflowState) []byte {
	b = appendString(b, `"status":`, s.Status)
	b = appendOptional(b, `,"status_reason":`, s.StatusReason)
	b = appendTimestamp(b, `,"disabled_at":"`, s.DisabledAt)
	b = appendOptional(b, `,"disabled_by":`, s.DisabledBy)
	b = appendOptional(b, `,"disabled_reason":`, s.DisabledReason)
	b = appendTimestamp(b, `,"updated_at":"`, s.UpdatedAt)
	return appendOptional(b, `,"updated_by":`, s.UpdatedBy)
}

// AppendActionType appends the JSON object that stands for an action type in storage. Absent members are left out.
func AppendActionType(b []byte, a *ActionType) []byte {
	b = appendString(b, `{"name":`, a.Name)
	if a.Guidance != (Guidance{}) {
		b = append(b, `,"guidance":`...)
		b = appendGuidance(b, &a.Guidance)
	}
	b = appendString(b, `,"content":`, a.Content)
	b = appendString(b, `,"content_hash":`, a.ContentHash)
	b = appendTimestamp(b, `,"updated_at":"`, a.UpdatedAt)
	return append(b, '}')
}

func appendGuidance(b []byte, g *Guidance) []byte {
	start := len(b)
	for name, text := range g.members() {
		b = appendOptional(b, `,"`+name+`":`, *text)
	}
	return closeObject(b, start)
}

// AppendLabels appends the mandatory labels as a JSON object: a string for one value, an array for several.
func AppendLabels(b []byte, l *Labels) []byte {
	start := len(b)
	for name, values := range l.members() {
		b = append(b, `,"`+name+`":`...)
		b = AppendLabel(b, *values)
	}
	return closeObject(b, start)
}

// AppendLabel appends the values of one mandatory label as JSON: a string for one value, an array for several.
func AppendLabel(b []byte, values []string) []byte {
	if len(values) == 1 {
		return appendString(b, "", values[0])
	}
	return appendStrings(b, values)
}

// AppendCustomLabels appends custom labels as a JSON object, ordered by key.
func AppendCustomLabels(b []byte, labels map[string][]string) []byte {
	start := len(b)
	for _, key := range sortedKeys(labels) {
		b = append(b, ',')
		b = appendString(b, "", key)
		b = append(b, ':')
		b = appendStrings(b, labels[key])
	}
	return closeObject(b, start)
}

// AppendDetectedLabels appends detected labels as a JSON object; those that are absent are left out.
func AppendDetectedLabels(b []byte, d *DetectedLabels) []byte {
	start := len(b)
	for name, value := range d.booleans() {
		if *value != nil {
			b = append(b, `,"`+name+`":`...)
			b = strconv.AppendBool(b, **value)
		}
	}
	b = appendOptional(b, `,"gitOpsTool":`, d.GitOpsTool)
	b = appendOptional(b, `,"serviceMesh":`, d.ServiceMesh)
	if len(d.Failed) > 0 {
		b = append(b, `,"failed_detections":`...)
		b = appendStrings(b, d.Failed)
	}
	if d.Other != nil {
		b = append(b, ',')
		b = append(b, d.Other[1:len(d.Other)-1]...)
	}
	return closeObject(b, start)
}

// closeObject makes members that begin at start, each with a comma before it, an object.
func closeObject(b []byte, start int) []byte {
	if len(b) == start {
		return append(b, "{}"...)
	}
	b[start] = '{'
	return append(b, '}')
}

func appendStrings(b []byte, values []string) []byte {
	b = append(b, '[')
	for i, s := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, "", s)
	}
	return append(b, ']')
}

// appendTimestamp appends member, which ends with an opening quote, the time and a closing quote; nothing for the zero
// time.
func appendTimestamp(b []byte, member string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = append(b, member...)
	b = AppendTime(b, t)
	return append(b, '"')
}
