package httpapi

import (
	"log/slog"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/datastorage-io/datastorage"
)

// problemType is the prefix of every problem type.
const problemType = "https://kubernaut.ai/problems/"

// kind is how one error code is answered and recorded.
type kind struct {
	status int
	title  string
	level  slog.Level
}

// kinds is the table of error codes: HTTP status, title and log level. The metric label is the code itself.
var kinds = map[datastorage.Code]kind{
	datastorage.CodeValidation:       {http.StatusBadRequest, "Validation Error", slog.LevelInfo},
	datastorage.CodeImmutableField:   {http.StatusBadRequest, "Bad Request", slog.LevelInfo},
	datastorage.CodeUnauthenticated:  {http.StatusUnauthorized, "Unauthenticated", slog.LevelInfo},
	datastorage.CodePermissionDenied: {http.StatusForbidden, "Permission Denied", slog.LevelInfo},
	datastorage.CodeNotFound:         {http.StatusNotFound, "Not Found", slog.LevelInfo},
	datastorage.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "Method Not Allowed", slog.LevelInfo},
	datastorage.CodeConflict:         {http.StatusConflict, "Resource Conflict", slog.LevelInfo},
	datastorage.CodePrecondition:     {http.StatusPreconditionFailed, "Precondition Failed", slog.LevelInfo},
	datastorage.CodeTooLarge:         {http.StatusRequestEntityTooLarge, "Payload Too Large", slog.LevelInfo},
	datastorage.CodeUnsupportedMedia: {http.StatusUnsupportedMediaType, "Unsupported Media Type", slog.LevelInfo},
	datastorage.CodeTooManyRequests:  {http.StatusTooManyRequests, "Too Many Requests", slog.LevelInfo},
	datastorage.CodeInternal:         {http.StatusInternalServerError, "Internal Server Error", slog.LevelError},
	datastorage.CodeUnavailable:      {http.StatusServiceUnavailable, "Service Unavailable", slog.LevelInfo},
}

// problem is an RFC 9457 document with the members that this API adds.
type problem struct {
	Type        string            `json:"type"`
	Title       string            `json:"title"`
	Status      int               `json:"status"`
	Detail      string            `json:"detail"`
	Instance    string            `json:"instance"`
	RequestID   string            `json:"request_id"`
	FieldErrors map[string]string `json:"field_errors,omitzero"`
	Retry       bool              `json:"retry,omitzero"`
	Resource    string            `json:"resource,omitzero"`
	Field       string            `json:"field,omitzero"`
	Value       string            `json:"value,omitzero"`
	Extension   jsontext.Value    `json:",embed"`
}

// writeProblem answers a request with the problem that err stands for. What is not a *datastorage.Error is an internal
// error, whose text stays in the log.
func writeProblem(w http.ResponseWriter, r *http.Request, requestID string, e *datastorage.Error) {
	k := kinds[e.Code]
	p := problem{
		Type: problemType + string(e.Code), Title: k.title, Status: k.status, Detail: e.Detail,
		Instance: r.URL.EscapedPath(), RequestID: requestID, FieldErrors: e.Fields,
		Retry: e.Code == datastorage.CodeUnavailable, Extension: e.Extension,
	}
	if e.Conflict != nil {
		if e.Conflict.Resource == "workflow" {
			p.Title = "Workflow Already Exists"
		}
		p.Resource, p.Field, p.Value = e.Conflict.Resource, e.Conflict.Field, e.Conflict.Value
	}
	body, err := json.Marshal(p, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		body = []byte(`{"type":"` + problemType + `internal-error","title":"Internal Server Error","status":500}`)
		k.status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if (e.Code == datastorage.CodeUnavailable || e.Code == datastorage.CodeTooManyRequests) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(k.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
