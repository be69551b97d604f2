package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
)

// TestDocument_Limits asserts every limit of the contract that one keyword can say. The place of a row is a path of
// tokens below components, separated by blanks.
func TestDocument_Limits(t *testing.T) {
	t.Parallel()
	const (
		event        = "schemas Event properties "
		body         = "schemas EventBody properties "
		notification = "schemas NotificationRequest properties "
		record       = "schemas Notification properties "
	)
	doc := tree(t)
	for _, row := range []struct{ place, keyword, want string }{
		{"schemas Event", "required", `["version","event_type","event_timestamp","event_category","event_action","event_outcome","correlation_id","event_data"]`},
		{"schemas Event", "dependentRequired", `{"producer_id":["producer_seq"],"producer_seq":["producer_id"]}`},
		{"schemas Event", "additionalProperties", `null`},
		{event + "version", "minLength", `1`},
		{event + "version", "maxLength", `20`},
		{event + "event_type", "minLength", `1`},
		{event + "event_type", "maxLength", `100`},
		{event + "event_timestamp", "format", `"date-time"`},
		{event + "event_action", "minLength", `1`},
		{event + "event_action", "maxLength", `50`},
		{event + "correlation_id", "minLength", `1`},
		{event + "correlation_id", "maxLength", `255`},
		{event + "event_data", "type", `"object"`},
		{event + "event_data", "x-max-bytes", `262144`},
		{event + "event_data", "x-max-depth", `32`},
		{event + "actor_type", "maxLength", `50`},
		{event + "actor_type", "default", `"service"`},
		{event + "actor_id", "maxLength", `255`},
		{event + "resource_type", "maxLength", `100`},
		{event + "resource_id", "maxLength", `255`},
		{event + "parent_event_id", "type", `["string","null"]`},
		{event + "parent_event_id", "format", `"uuid"`},
		{event + "namespace", "maxLength", `253`},
		{event + "cluster_name", "maxLength", `255`},
		{event + "severity", "maxLength", `20`},
		{event + "severity", "default", `"info"`},
		{event + "duration_ms", "minimum", `0`},
		{event + "duration_ms", "maximum", `9007199254740991`},
		{event + "error_code", "maxLength", `100`},
		{event + "error_message", "maxLength", `4096`},
		{event + "trace_id", "pattern", `"^[0-9a-f]{32}$"`},
		{event + "span_id", "pattern", `"^[0-9a-f]{16}$"`},
		{event + "event_id", "format", `"uuid"`},
		{event + "retention_days", "minimum", `1`},
		{event + "retention_days", "maximum", `36500`},
		{event + "retention_days", "default", `2555`},
		{event + "is_sensitive", "default", `false`},
		{event + "producer_id", "maxLength", `255`},
		{event + "producer_seq", "minimum", `0`},
		{body + "version", "maxLength", `20`},
		{body + "event_type", "maxLength", `100`},
		{body + "event_action", "maxLength", `50`},
		{body + "correlation_id", "maxLength", `255`},
		{body + "actor_type", "maxLength", `50`},
		{body + "actor_id", "maxLength", `255`},
		{body + "resource_type", "maxLength", `100`},
		{body + "resource_id", "maxLength", `255`},
		{body + "namespace", "maxLength", `253`},
		{body + "cluster_name", "maxLength", `255`},
		{body + "severity", "maxLength", `20`},
		{body + "duration_ms", "maximum", `9007199254740991`},
		{body + "error_code", "maxLength", `100`},
		{body + "error_message", "maxLength", `4096`},
		{body + "producer_id", "maxLength", `255`},
		{body + "retention_days", "maximum", `36500`},
		{"schemas EventBatch", "minItems", `1`},
		{"schemas EventBatch", "maxItems", `1000`},
		{"schemas EventPage properties data", "maxItems", `1000`},
		{"schemas CorrelationSummary properties events", "maxItems", `1000`},
		{"schemas DeadLetterPage properties data", "maxItems", `100`},
		{"schemas DiscardRequest", "required", `["reason"]`},
		{"schemas DiscardRequest properties reason", "maxLength", `500`},
		{"schemas DiscardRequest properties reason", "pattern", `"\\S"`},
		{"parameters DeadLetterID schema", "maxLength", `255`},
		{"headers WWWAuthenticate schema", "const", `"Bearer"`},
		{"schemas Outcome", "enum", `["success","failure","pending"]`},
		{"schemas Channel", "enum", `["email","slack","pagerduty","webhook","sms"]`},
		{"schemas NotificationStatus", "enum", `["sent","failed","pending","acknowledged","escalated"]`},
		{"schemas NotificationRequest", "required", `["remediation_id","notification_id","recipient","channel","message_summary","status","sent_at"]`},
		{notification + "remediation_id", "maxLength", `255`},
		{notification + "remediation_id", "pattern", `"\\S"`},
		{notification + "notification_id", "maxLength", `255`},
		{notification + "notification_id", "pattern", `"\\S"`},
		{notification + "recipient", "maxLength", `500`},
		{notification + "recipient", "pattern", `"\\S"`},
		{notification + "message_summary", "maxLength", `1000`},
		{notification + "message_summary", "pattern", `"\\S"`},
		{notification + "delivery_status", "maxLength", `255`},
		{notification + "error_message", "maxLength", `1000`},
		{notification + "escalation_level", "minimum", `0`},
		{notification + "escalation_level", "maximum", `100`},
		{notification + "escalation_level", "default", `0`},
		{record + "recipient", "maxLength", `500`},
		{record + "message_summary", "maxLength", `1000`},
		{record + "delivery_status", "maxLength", `255`},
		{record + "error_message", "maxLength", `1000`},
		{record + "escalation_level", "maximum", `100`},
		{"parameters Limit schema", "minimum", `1`},
		{"parameters Limit schema", "maximum", `1000`},
		{"parameters Limit schema", "default", `50`},
		{"parameters Offset schema", "minimum", `0`},
		{"parameters Count schema", "enum", `["exact","none"]`},
		{"parameters RequestID schema", "maxLength", `128`},
		{"parameters IdempotencyKey schema", "format", `"uuid"`},
		{"parameters BatchIdempotencyKey schema", "format", `"uuid"`},
		{"headers RetryAfter schema", "minimum", `1`},
		{"schemas Problem", "required", `["type","title","status","detail","instance","request_id"]`},
		{"schemas NotReady properties reason", "enum", `["shutting_down","database_unreachable","ledger_diverged"]`},
	} {
		place := append([]string{"components"}, strings.Fields(row.place)...)
		if at(doc, place...) == nil {
			t.Errorf("%s does not exist", row.place)
			continue
		}
		assertJSON(t, row.place+" "+row.keyword, at(doc, append(place, row.keyword)...), row.want)
	}
}

// TestDocument_BodyLimits asserts what stands at the operations rather than in a schema.
func TestDocument_BodyLimits(t *testing.T) {
	t.Parallel()
	doc := tree(t)
	assertJSON(t, "event body", at(doc, "paths", "/api/v1/audit/events", "post", "requestBody", "x-max-bytes"), `524288`)
	assertJSON(t, "batch body", at(doc, "paths", "/api/v1/audit/events/batch", "post", "requestBody", "x-max-bytes"), `16777216`)
	assertJSON(t, "discard body", at(doc, "paths", "/api/v1/dead-letters/{id}", "delete", "requestBody", "x-max-bytes"), `16384`)
	assertJSON(t, "notification body", at(doc, "paths", "/api/v1/audit/notifications", "post", "requestBody", "x-max-bytes"), `65536`)
}

// TestDocument_MatchesTheDomain asserts the limits that the decoder has as constants.
func TestDocument_MatchesTheDomain(t *testing.T) {
	t.Parallel()
	schemas := at(tree(t), "components", "schemas")
	data := at(schemas, "Event", "properties", "event_data")
	category := list(at(schemas, "Category", "anyOf"))[0]
	for _, row := range []struct {
		name string
		got  any
		want any
	}{
		{"outcomes", at(schemas, "Outcome", "enum"), datastorage.Outcomes},
		{"categories", at(category, "enum"), datastorage.Categories},
		{"event_data bytes", at(data, "x-max-bytes"), datastorage.MaxEventDataBytes},
		{"event_data depth", at(data, "x-max-depth"), datastorage.MaxEventDataDepth},
		{"default retention_days", at(schemas, "Event", "properties", "retention_days", "default"), datastorage.DefaultRetentionDays},
		{"channels", at(schemas, "Channel", "enum"), datastorage.Channels},
		{"notification statuses", at(schemas, "NotificationStatus", "enum"), datastorage.NotificationStatuses},
		{"retention_days", at(schemas, "Event", "properties", "retention_days", "maximum"), datastorage.MaxRetentionDays},
	} {
		want, err := json.Marshal(row.want)
		if err != nil {
			t.Fatal(err)
		}
		assertJSON(t, row.name, row.got, string(want))
	}
}

// TestDocument_QueryParameters asserts that the queries have every filter of the contract.
func TestDocument_QueryParameters(t *testing.T) {
	t.Parallel()
	doc := load(t)
	for path, want := range map[string][]string{
		"/api/v1/audit/events": {
			"correlation_id", "event_type", "event_category", "event_outcome", "severity", "since", "until", "namespace",
			"cluster_name", "actor_id", "actor_type", "resource_type", "resource_id", "parent_event_id", "trace_id",
			"detail_key", "detail_value", "order", "limit", "offset", "cursor", "count",
		},
		"/api/v1/audit/notifications": {
			"remediation_id", "channel", "status", "since", "until", "limit", "offset", "cursor", "count",
		},
		"/api/v1/dead-letters": {"limit", "after"},
	} {
		var got []string
		for _, parameter := range doc.Paths.Value(path).Get.Parameters {
			got = append(got, parameter.Value.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("GET %s (-want +got):\n%s", path, diff)
		}
	}
}

// assertJSON compares a value of the document with JSON text; null stands for a value that is not there.
func assertJSON(t *testing.T, name string, got any, want string) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Errorf("%s is %s, want %s", name, text, want)
	}
}
