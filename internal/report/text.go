package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// maxText is how much of one text is shown, in characters.
const maxText = 1200

// text is a text of an answer, clean for any screen: decoding it makes one line of it and removes what could move a cursor,
// change a colour or turn the direction of writing.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	*t = text(clean(s))
	return nil
}

// clean returns s on one line, without what cannot be printed, and not longer than maxText.
func clean(s string) string {
	var b strings.Builder
	n, space := 0, true
	for _, r := range s {
		if n == maxText {
			return strings.TrimRight(b.String(), " ") + "…"
		}
		switch {
		case unicode.IsSpace(r):
			if space {
				continue
			}
			r = ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			r = '·'
		}
		space = r == ' '
		b.WriteRune(r)
		n++
	}
	return strings.TrimRight(b.String(), " ")
}

// loose is a scalar of an answer as text, whatever its type; other values are "".
type loose string

// UnmarshalJSON implements json.Unmarshaler.
func (l *loose) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return (*text)(l).UnmarshalJSON(b)
	case '{', '[', 'n':
		*l = ""
	default:
		*l = loose(b)
	}
	return nil
}

// number reads a loose number; ok is false when it is none.
func (l loose) number() (f float64, ok bool) {
	f, err := strconv.ParseFloat(string(l), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// span writes a duration as a person would: 45s, 3m42s, 2h05m, 3d4h.
func span(d time.Duration) string {
	d = max(0, d).Round(time.Millisecond)
	switch {
	case d == 0:
		return "0s"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// plural writes a count with its noun.
func plural[N int | int64](n N, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// percent writes a share of 1.
func percent(f float64) string { return strconv.FormatFloat(100*f, 'f', 0, 64) + " %" }

// score writes a score of 0 to 1 with two digits.
func score(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }

// stamp writes a time in UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// title writes a name as a label begins.
func title(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + strings.ReplaceAll(s[n:], "_", " ")
}

// called cites calls of the API and no event.
func called(marks string) Cite { return Cite{Source: marks, First: -1, Last: -1} }

// eventAt cites one event.
func eventAt(logIndex int64) Cite { return Cite{First: logIndex, Last: logIndex} }

// String writes a citation as a report shows it; "" when nothing is cited.
func (c Cite) String() string {
	var parts []string
	switch {
	case c.First < 0:
	case c.First == c.Last:
		parts = append(parts, "#"+strconv.FormatInt(c.First, 10))
	default:
		parts = append(parts, fmt.Sprintf("#%d–%d", c.First, c.Last))
	}
	if c.Source != "" {
		parts = append(parts, c.Source)
	}
	return strings.Join(parts, " ")
}
