package datastorage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Code says what kind of fault an Error is. Its text is the suffix of the problem type on the wire.
type Code string

// The codes of the HTTP contract, section 1.
const (
	CodeValidation       Code = "validation-error"
	CodeImmutableField   Code = "immutable-field-violation"
	CodeUnauthenticated  Code = "unauthenticated"
	CodePermissionDenied Code = "permission-denied"
	CodeNotFound         Code = "not-found"
	CodeMethodNotAllowed Code = "method-not-allowed"
	CodeConflict         Code = "conflict"
	CodePrecondition     Code = "precondition-failed"
	CodeTooLarge         Code = "payload-too-large"
	CodeUnsupportedMedia Code = "unsupported-media-type"
	CodeTooManyRequests  Code = "too-many-requests"
	CodeInternal         Code = "internal-error"
	CodeUnavailable      Code = "service-unavailable"
)

// Error is the one error type of DataStorage: what a caller may be told, and the cause, which stays in the log.
type Error struct {
	// Code decides status, log level and metric label.
	Code Code
	// Detail is a plain sentence for the caller. It never holds event_data, driver text, SQL or host names.
	Detail string
	// Fields maps the JSON path of each bad field to one plain sentence; nil when the fault is not a field's.
	Fields map[string]string
	// Conflict names the resource, field and value of a conflict; nil otherwise.
	Conflict *Conflict
	// Extension is a JSON object whose members the caller gets beside the others; nil when there is none.
	Extension jsontext.Value
	// Cause is the underlying error, for the log only.
	Cause error
}

// Conflict says which unique value is taken.
type Conflict struct {
	Resource string // for example "notification_audit"
	Field    string // for example "notification_id"
	Value    string
}

// Error returns the detail, and the cause behind it when there is one.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Detail + ": " + e.Cause.Error()
	}
	return e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf returns an Error with the given code and a formatted detail.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Unavailable returns the error of a store that cannot be reached or is too slow. The detail is for the caller, the
// cause for the log.
func Unavailable(cause error, format string, args ...any) *Error {
	return &Error{Code: CodeUnavailable, Detail: fmt.Sprintf(format, args...), Cause: cause}
}

// Invalid returns the validation error for the given fields, with a detail that names each of them, or nil when fields
// is empty.
func Invalid(fields map[string]string) *Error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: CodeValidation, Detail: FieldDetail(fields), Fields: fields}
}

// maxDetailFields is how many fields a detail spells out; field_errors holds all of them.
const maxDetailFields = 12

// FieldDetail joins the sentences of fields in the order of their names.
func FieldDetail(fields map[string]string) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for i, name := range names {
		if i == maxDetailFields {
			fmt.Fprintf(&b, "; and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(fields[name])
	}
	return b.String()
}

// CodeOf returns the code of the first Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
