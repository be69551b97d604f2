package datastorage_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// vectors are objects with their canonical form. Those of RFC 8785 hold no number that it would rewrite.
var vectors = map[string]struct{ in, out string }{
	"RFC8785_Literals": {`{"literals": [null, true, false]}`, `{"literals":[null,true,false]}`},
	"RFC8785_String": {
		`{"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/"}`,
		`{"string":"€$\u000f\nA'B\"\\\\\"/"}`,
	},
	"RFC8785_Order": {
		`{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
		  "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}`,
		`{"\r":"Carriage Return","1":"One","` + "\u0080" + `":"Control","ö":"Latin Small Letter O With Diaeresis",` +
			`"€":"Euro Sign","😀":"Emoji: Grinning Face","` + "\ufb33" + `":"Hebrew Letter Dalet With Dagesh"}`,
	},
	"Empty":        {"{ \n\t\r}", `{}`},
	"EmptyWithin":  {`{"b":[ ] , "a":{ }}`, `{"a":{},"b":[]}`},
	"Prefix":       {`{"aa":1,"a":2,"":3,"ab":4}`, `{"":3,"a":2,"aa":1,"ab":4}`},
	"EscapedNames": {`{"b":1,"\u0061":2,"\"":3,"\\":4,"\n":5}`, `{"\n":5,"\"":3,"\\":4,"a":2,"b":1}`},
	"SlashOrder":   {`{"\\":1,"[":2,"]":3,"/":4}`, `{"/":4,"[":2,"\\":1,"]":3}`},
	"Nested":       {`{"b":{"d":1,"c":[{"f":1,"e":2}]},"a":{"z":0,"y":0}}`, `{"a":{"y":0,"z":0},"b":{"c":[{"e":2,"f":1}],"d":1}}`},
	"Controls":     {`{"a":"\u0008\u0009\u000a\u000c\u000d\u0001\u001F\u007f"}`, `{"a":"\b\t\n\f\r\u0001\u001f` + "\u007f" + `"}`},
	"HTML":         {`{"a":"\u003c\u003e\u0026\u2028\u2029"}`, "{\"a\":\"<>&\u2028\u2029\"}"},
	"Numbers":      {`{"a": 1.0, "b": -0, "c":1E+2, "d":[ 1e-7 ,10 ]}`, `{"a":1.0,"b":-0,"c":1E+2,"d":[1e-7,10]}`},
	"Supplements":  {"{\"\uffff\":1,\"\U00010000\":2,\"\U0010ffff\":3,\"\ue000\":4,\"\ud7ff\":5}", "{\"\ud7ff\":5,\"\U00010000\":2,\"\U0010ffff\":3,\"\ue000\":4,\"\uffff\":1}"},
}

func TestCanonical(t *testing.T) {
	for name, v := range vectors {
		t.Run(name, func(t *testing.T) {
			checkCanonical(t, []byte(v.in))
			if got, err := datastorage.Canonical([]byte(v.in)); err != nil || string(got) != v.out {
				t.Errorf("canonical form is %s, %v; want %s", got, err, v.out)
			}
			if e := mustDecode(t, eventWith(member{"event_data", v.in})); string(e.Data) != v.out {
				t.Errorf("event_data is %s, want %s", e.Data, v.out)
			}
		})
	}
	for _, bad := range []string{``, `{`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{} {}`} {
		if _, err := datastorage.Canonical([]byte(bad)); err == nil {
			t.Errorf("%q has a canonical form", bad)
		}
	}
}

// checkCanonical checks that the two ways to a canonical form agree on an object, and that it stays as it is.
func checkCanonical(t testing.TB, raw []byte) {
	t.Helper()
	want, err := datastorage.Canonical(raw)
	e, fault := testRules().Decode(eventWith(member{"event_data", string(raw)}), now)
	if fault != nil {
		if err == nil && strings.Contains(fault.Error(), "valid JSON") {
			t.Fatalf("%q is refused as event_data: %v", raw, fault)
		}
		return
	}
	if err != nil || string(e.Data) != string(want) {
		t.Fatalf("%q becomes\n%q as event_data, want\n%q, %v", raw, e.Data, want, err)
	}
	again, err := datastorage.Canonical(want)
	if err != nil || string(again) != string(want) {
		t.Fatalf("%q becomes\n%q when it is made canonical again, %v", want, again, err)
	}
	if e, err = testRules().Decode(eventWith(member{"event_data", string(want)}), now); err != nil || string(e.Data) != string(want) {
		t.Fatalf("%q becomes\n%q as event_data, %v", want, e.Data, err)
	}
}

// jsonObject draws an object with awkward names, values and spelling.
func jsonObject() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return drawObject(t, 0) })
}

func drawObject(t *rapid.T, depth int) string {
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	names := rapid.SliceOfNDistinct(name(), 0, 6, rapid.ID).Draw(t, "names")
	var b strings.Builder
	b.WriteString("{")
	for i, n := range names {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(space.Draw(t, "space") + spell(t, n) + space.Draw(t, "space") + ":" + drawValue(t, depth+1))
	}
	return b.String() + space.Draw(t, "space") + "}"
}

func drawValue(t *rapid.T, depth int) string {
	kinds := 4
	if depth > 4 {
		kinds = 2
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom([]string{"true", "false", "null", " 0 ", "-0", "1.0", "-1.5e-300", "1E+5", "123456789012345678901234567890"}).Draw(t, "scalar")
	case 1, 2:
		return spell(t, name().Draw(t, "text"))
	case 3:
		elements := make([]string, rapid.IntRange(0, 3).Draw(t, "length"))
		for i := range elements {
			elements[i] = drawValue(t, depth+1)
		}
		return "[" + strings.Join(elements, ",") + "]"
	default:
		return drawObject(t, depth)
	}
}

// name draws a text of characters from every part of the order.
func name() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\/\x01\x1f\n\x7f\u0080öé€\u2028\ud7ff\ue000\ufb33\uffff\U00010000😀\U0010ffff")), 0, 4, -1)
}

// spell writes a text as JSON, in one of the ways there are.
func spell(t *rapid.T, text string) string {
	if rapid.Bool().Draw(t, "escape") {
		quoted, err := jsontext.AppendFormat(nil, quote(text), jsontext.EscapeForJS(true), jsontext.EscapeForHTML(true))
		if err == nil {
			return string(quoted)
		}
	}
	return string(quote(text))
}

func quote(text string) jsontext.Value {
	quoted, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		panic(err)
	}
	return quoted
}

func TestCanonical_Properties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		raw := jsonObject().Draw(rt, "object")
		checkCanonical(t, []byte(raw))
	})
}
