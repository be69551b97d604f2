package datastorage

import (
	"strings"
	"testing"
)

func TestDecodeDiscard(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 500)
	for body, want := range map[string]string{
		`{"reason":"sent again"}`:                "sent again",
		`{"x":[1,{"y":null}],"reason":" a\tb "}`: " a\tb ",
		`{"reason":"` + long + `"}`:              long,
		`{"reason":"` + long + `x"}`:             "! reason must be at most 500 characters",
		`{}`:                                     "! reason is required",
		`{"reason":null}`:                        "! reason is required",
		`{"reason":""}`:                          "! reason is required",
		`{"reason":" \u00a0\n"}`:                 "! reason is required and must not be blank",
		`{"reason":7}`:                           "! reason must be a string",
		`{"reason":"\u0000"}`:                    "! reason must not contain U+0000",
		`{"reason":"x","y":"\u0000"}`:            "! an unknown member of the body must not contain U+0000",
		`{"reason":"x","reason":"y"}`:            "!",
		`{"reason":"x"}}`:                        "!",
		`["reason"]`:                             "! the body must be a JSON object",
		"":                                       "!",
		"{\"reason\":\"\xff\"}":                  "!",
		`{"reason":"x","n":1e400}`:               "! an unknown member of the body",
		`{"reason":"x","n":` + `"` + long + `"` + `}`: "x",
	} {
		got, err := DecodeDiscard([]byte(body))
		if phrase, bad := strings.CutPrefix(want, "!"); bad {
			if CodeOf(err) != CodeValidation || !strings.Contains(err.Error(), strings.TrimSpace(phrase)) {
				t.Errorf("%s: %v, want %s", body, err, phrase)
			}
		} else if err != nil || got != want {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
}
