package catalog

import (
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
)

// MarshalJSON returns the canonical JSON form, at most EvidenceSize bytes and those of the outcomes unless the labels alone are
// longer, with as many results as fit. It is written by hand because every search of a server passes here.
func (e *Evidence) MarshalJSON() ([]byte, error) {
	b, room := e.appendHead(make([]byte, 0, EvidenceSize))
	var buf [1024]byte
	tail := e.appendTail(buf[:0])
	for i, r := range e.Results {
		start := len(b)
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDecimal(append(b, `{"final_score":`...), int64(r.Score), scoreDigits)
		b = datastorage.AppendUUID(append(b, `,"workflow_id":"`...), r.WorkflowID)
		b = append(b, `"}`...)
		if len(b)+len(tail) > room {
			b = b[:start]
			break
		}
	}
	b = append(b, tail...)
	for key := range e.Search.CustomLabels {
		if !isASCII(key) {
			return datastorage.Canonical(b) // orders such keys otherwise than Go does
		}
	}
	return b, nil
}

// appendHead appends the members before the results, and returns the length that the whole has room for.
func (e *Evidence) appendHead(b []byte) (head []byte, room int) {
	q := &e.Search
	b = append(b, '{')
	if !q.AsOf.IsZero() {
		b = datastorage.AppendTime(append(b, `"as_of":"`...), q.AsOf)
		b = append(b, `",`...)
	}
	b = strconv.AppendInt(append(b, `"catalog_version":`...), e.CatalogVersion, 10)
	b = append(b, `,"filters":{`...)
	if q.ActionType != "" {
		b = append(appendMember(b, "action_type", q.ActionType), ',')
	}
	b = append(appendMember(b, "component", q.Component), ',')
	if len(q.CustomLabels) > 0 {
		b = append(appendCustom(append(b, `"custom_labels":`...), q.CustomLabels), ',')
	}
	b = append(appendDetected(append(b, `"detected_labels":`...), &q.Detected), ',')
	b = append(appendMember(b, "environment", q.Environment), ',')
	b = append(appendMember(b, "priority", q.Priority), ',')
	b = append(appendMember(b, "severity", q.Severity), ',')
	b = append(appendMember(b, "signal_type", q.SignalType), ',')
	b = appendStrings(append(b, `"status":`...), q.Statuses)
	b = strconv.AppendInt(append(b, `},"format":`...), evidenceFormat, 10)
	b = appendDecimal(append(b, `,"min_score":`...), int64(q.MinScore), scoreDigits)
	before := len(b)
	if e.Outcomes != nil {
		b = e.Outcomes.appendJSON(append(b, `,"outcomes":`...))
	}
	room = EvidenceSize + len(b) - before
	b = appendMember(append(b, ','), "ranking_sha256", e.Ranking)
	if q.RemediationID != "" {
		b = appendMember(append(b, ','), "remediation_id", q.RemediationID)
	}
	return append(b, `,"results":[`...), room
}

// appendJSON appends the canonical JSON form.
func (o *Outcomes) appendJSON(b []byte) []byte {
	b = append(append(b, `{"max_shift":`...), o.MaxShift.String()...)
	b = append(b, `,"records":[`...)
	for i := range o.Records {
		r := &o.Records[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"executions":`...), r.Executions, 10)
		b = appendDecimal(append(b, `,"lower_bound":`...), int64(r.LowerBound), scoreDigits)
		b = strconv.AppendInt(append(b, `,"successful":`...), r.Successful, 10)
		b = datastorage.AppendUUID(append(b, `,"workflow_id":"`...), r.WorkflowID)
		b = append(b, `"}`...)
	}
	return append(b, "]}"...)
}

// appendTail appends the members behind the results.
func (e *Evidence) appendTail(b []byte) []byte {
	b = strconv.AppendInt(append(b, `],"returned":`...), int64(e.Returned), 10)
	b = strconv.AppendInt(append(b, `,"top_k":`...), int64(e.Search.TopK), 10)
	b = strconv.AppendInt(append(b, `,"total_results":`...), int64(e.Total), 10)
	b = e.Weights.appendJSON(append(b, `,"weights":`...))
	b = appendMember(append(b, ','), "weights_version", e.WeightsVersion)
	return append(b, '}')
}

func appendCustom(b []byte, labels map[string][]string) []byte {
	separator := byte('{')
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		b = appendString(append(b, separator), key)
		b = appendStrings(append(b, ':'), labels[key])
		separator = ','
	}
	return append(b, '}')
}

// appendDetected appends the labels that a score asks for; absent ones are left out.
func appendDetected(b []byte, d *datastorage.DetectedLabels) []byte {
	start := len(b)
	if len(d.Failed) > 0 {
		b = appendStrings(append(b, `,"failed_detections":`...), d.Failed)
	}
	b = appendFlag(b, "gitOpsManaged", d.GitOpsManaged)
	if d.GitOpsTool != "" {
		b = appendMember(append(b, ','), nameGitOpsTool, d.GitOpsTool)
	}
	b = appendFlag(b, "helmManaged", d.HelmManaged)
	b = appendFlag(b, "hpaEnabled", d.HPAEnabled)
	b = appendFlag(b, "networkIsolated", d.NetworkIsolated)
	b = appendFlag(b, "pdbProtected", d.PDBProtected)
	if d.ServiceMesh != "" {
		b = appendMember(append(b, ','), nameServiceMesh, d.ServiceMesh)
	}
	b = appendFlag(b, "stateful", d.Stateful)
	if len(b) == start {
		b = append(b, ',')
	}
	b[start] = '{'
	return append(b, '}')
}

func appendFlag(b []byte, name string, flag *bool) []byte {
	if flag == nil {
		return b
	}
	b = append(append(append(b, ',', '"'), name...), '"', ':')
	return strconv.AppendBool(b, *flag)
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, '"'), name...), '"', ':')
	return appendString(b, value)
}

func appendStrings(b []byte, values []string) []byte {
	b = append(b, '[')
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, value)
	}
	return append(b, ']')
}

// appendString appends a JSON string. The error that is left out is for invalid UTF-8, which no search that was decoded
// holds; it would be written as U+FFFD.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
