package datastorage_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage"
)

func TestError(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("write: %w", datastorage.Unavailable(cause, "the store is %s", "down"))
	if datastorage.CodeOf(err) != datastorage.CodeUnavailable || !errors.Is(err, cause) || err.Error() != "write: the store is down: connection refused" {
		t.Errorf("error is %v with code %s", err, datastorage.CodeOf(err))
	}
	if datastorage.CodeOf(cause) != datastorage.CodeInternal || datastorage.CodeOf(nil) != datastorage.CodeInternal {
		t.Error("what is no Error must be internal")
	}
}

func TestInvalid(t *testing.T) {
	if datastorage.Invalid(nil) != nil || datastorage.Invalid(map[string]string{}) != nil {
		t.Error("no bad field is an error")
	}
	e := datastorage.Invalid(map[string]string{"b": "b is bad", "a": "a is bad"})
	if e.Code != datastorage.CodeValidation || e.Detail != "a is bad; b is bad" {
		t.Errorf("error is %+v", e)
	}
	many := map[string]string{}
	for i := range 30 {
		many[fmt.Sprintf("f%02d", i)] = fmt.Sprintf("f%02d is bad", i)
	}
	if detail := datastorage.FieldDetail(many); !strings.HasSuffix(detail, "f11 is bad; and 18 more") {
		t.Errorf("the detail is %q", detail)
	}
}

func TestAtIndex(t *testing.T) {
	err := datastorage.AtIndex(3, datastorage.Invalid(map[string]string{"version": "version is required"}))
	if e := validation(t, err); e.Detail != "event at index 3: version is required" || e.Fields["3.version"] != "version is required" || len(e.Fields) != 1 {
		t.Errorf("error is %+v", e)
	}
	plain := errors.New("x")
	if !errors.Is(datastorage.AtIndex(1, plain), plain) {
		t.Error("another error changes")
	}
}
