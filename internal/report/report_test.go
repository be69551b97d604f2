package report_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/report"
)

var (
	record = flag.String("record", "", "read a server at this `URL`, which holds testdata/remediations.ndjson and the sample workflows, and keep its answers")
	update = flag.Bool("update", false, "write what the reports are now as what they must be")
)

// answers are those of a server that holds the recorded runs: by path, nil where nothing is found.
type answers map[string]jsontext.Value

const answersFile = "testdata/answers.json"

func (a answers) Get(_ context.Context, path string) ([]byte, error) {
	answer, known := a[path]
	switch {
	case !known:
		return nil, fmt.Errorf("no answer is recorded for %s; see the flag -record", path)
	case answer == nil || string(answer) == "null":
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "there is nothing at this path")
	}
	return answer, nil
}

// recorder asks a server and keeps what it answers.
type recorder struct {
	url  string
	kept answers
}

func (r recorder) Get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/v1"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		r.kept[path] = body
	case http.StatusNotFound:
		r.kept[path] = nil
	default:
		return nil, fmt.Errorf("%s is answered %d: %s", path, resp.StatusCode, body)
	}
	return r.kept.Get(ctx, path)
}

// api is the server of the tests.
func api(t *testing.T) report.API {
	t.Helper()
	if *record != "" {
		r := recorder{*record, answers{}}
		t.Cleanup(func() {
			text, err := json.Marshal(r.kept, jsontext.WithIndent(" "), json.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(answersFile, text, 0o600); err != nil {
				t.Fatal(err)
			}
		})
		return r
	}
	return load(t)
}

func load(t *testing.T) answers {
	t.Helper()
	text, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	a := answers{}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// now is when the reports of the tests are made.
var now = time.Date(2026, 6, 5, 8, 0, 0, 0, time.UTC)

type makeReport func(context.Context, report.API) (*report.Document, error)

func correlation(id string) makeReport {
	return func(ctx context.Context, api report.API) (*report.Document, error) {
		return report.Correlation(ctx, api, id)
	}
}

func ofWorkflow(name string) makeReport {
	return func(ctx context.Context, api report.API) (*report.Document, error) {
		return report.OfWorkflow(ctx, api, name, "365d", now)
	}
}

func ofWeek(year, number int) makeReport {
	return func(ctx context.Context, api report.API) (*report.Document, error) {
		return report.OfWeek(ctx, api, report.Week{Year: year, Number: number})
	}
}

// reports are those that are made of the recorded runs.
var reports = []struct {
	name string
	make makeReport
	html bool // it is kept as HTML too
}{
	{"remediated", correlation("rr-c2dc7f50dc7b-655e2056"), true},
	{"tried-before", correlation("rr-0a443ebd1523-dbd7a501"), false},
	{"manual-review", correlation("rr-8808ffd49874-2f9c5bbb"), false},
	{"week", ofWeek(2026, 23), true},
	{"week-before", ofWeek(2026, 19), false},
	{"empty-week", ofWeek(2026, 1), false},
	{"workflow", ofWorkflow("d549ad54-8979-5016-969a-b05a80e5a35f"), true},
	{"named-workflow", ofWorkflow("crashloop-rollback-v1"), false},
}

// TestReports compares the reports on the recorded runs with what they must be.
func TestReports(t *testing.T) {
	api := api(t)
	for _, r := range reports {
		t.Run(r.name, func(t *testing.T) {
			d, err := r.make(t.Context(), api)
			if err != nil {
				t.Fatal(err)
			}
			d.Server, d.Made = "http://127.0.0.1:8080", now
			var text, page bytes.Buffer
			if err := report.WriteText(&text, d, report.Screen{Width: 80}); err != nil {
				t.Fatal(err)
			}
			compare(t, r.name+".txt", text.Bytes())
			for line := range strings.Lines(text.String()) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
					t.Errorf("a line has %d characters:\n%s", n, line)
				}
			}
			if err := report.WriteHTML(&page, d); err != nil {
				t.Fatal(err)
			}
			checkPage(t, page.String())
			if r.html {
				compare(t, r.name+".html", page.Bytes())
			}
		})
	}
}

// compare compares with a file of testdata, or writes it.
func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

var (
	tag       = regexp.MustCompile(`<([a-zA-Z!/][^\s>]*)`)
	opening   = regexp.MustCompile(`<[a-zA-Z!][^>]*>`)
	reference = regexp.MustCompile(`(?i)\s(src|href|action|data|poster|srcset|on[a-z]+)\s*=\s*"?([^\s">]*)`)
)

// known are the elements of a page.
var known = strings.Fields(`!DOCTYPE html head meta title style body main header section footer figure figcaption p h1 h2 span div dl dt dd
	ol li time table thead tbody tr th td code a svg line rect text polyline path`)

// checkPage checks that a page refers to itself alone and runs nothing.
func checkPage(t *testing.T, page string) {
	t.Helper()
	for _, m := range tag.FindAllStringSubmatch(page, -1) {
		if name := strings.TrimPrefix(m[1], "/"); !slices.Contains(known, name) {
			t.Errorf("the page has an element %s", name)
		}
	}
	for _, m := range reference.FindAllStringSubmatch(strings.Join(opening.FindAllString(page, -1), "\n"), -1) {
		if m[1] != "href" || !strings.HasPrefix(m[2], "#source-") {
			t.Errorf("the page has an attribute %s=%s", m[1], m[2])
		}
	}
	if css := page[strings.Index(page, "<style>"):strings.Index(page, "</style>")]; strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Error("the style refers to something outside")
	}
}

// hostile is what events may hold to harm who looks at them.
const hostile = "</style></title><script src=//evil.example></script><img src=x onerror=alert(1)>\"'><a href='javascript:alert(1)'>" +
	"\x1b]0;owned\x07\x1b[2J\x1b[31m\u202edesrever\u200b\u0000\r\nSet-Cookie: a\n\n{{.Server}} "

// embitter puts hostile text before every text of a JSON value but times and what decides how it is read.
func embitter(v any, name string) any {
	switch v := v.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil || name == "next_cursor" {
			return v
		}
		return hostile + v
	case map[string]any:
		for name, member := range v {
			v[name] = embitter(member, name)
		}
	case []any:
		for i := range v {
			v[i] = embitter(v[i], name)
		}
	}
	return v
}

// TestReports_Hostile shows texts that would harm as texts.
func TestReports_Hostile(t *testing.T) {
	t.Parallel()
	bitter := answers{}
	for path, answer := range load(t) {
		if string(answer) == "null" {
			bitter[path] = nil
			continue
		}
		var v any
		if err := json.Unmarshal(answer, &v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(embitter(v, ""))
		if err != nil {
			t.Fatal(err)
		}
		bitter[path] = text
	}
	for _, r := range reports {
		d, err := r.make(t.Context(), lenient{bitter})
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		var text, page bytes.Buffer
		if err := report.WriteText(&text, d, report.Screen{Width: 80}); err != nil {
			t.Fatal(err)
		}
		if err := report.WriteHTML(&page, d); err != nil {
			t.Fatal(err)
		}
		checkPage(t, page.String())
		for _, out := range []string{text.String(), page.String()} {
			if i := strings.IndexFunc(out, func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) }); i >= 0 {
				t.Errorf("%s: %q is shown", r.name, out[max(0, i-20):i+20])
			}
		}
	}
}

// lenient finds nothing where no answer is recorded, and no event: a hostile id leads nowhere.
type lenient struct{ answers }

func (l lenient) Get(ctx context.Context, path string) ([]byte, error) {
	if _, known := l.answers[path]; !known {
		if strings.HasPrefix(path, "/audit/events?") {
			return []byte(`{"data":[],"pagination":{}}`), nil
		}
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "there is nothing at this path")
	}
	return l.answers.Get(ctx, path)
}

// TestReports_Missing makes a report, or says what is wrong, of answers that lack a member.
func TestReports_Missing(t *testing.T) {
	t.Parallel()
	all := load(t)
	asked := make([]map[string]bool, len(reports))
	for i, r := range reports {
		asked[i] = map[string]bool{}
		if _, err := r.make(t.Context(), noting{all, asked[i]}); err != nil {
			t.Fatal(err)
		}
	}
	for path, answer := range all {
		var members map[string]jsontext.Value
		if string(answer) == "null" {
			continue
		}
		if err := json.Unmarshal(answer, &members); err != nil {
			t.Fatal(err)
		}
		for name := range members {
			less := map[string]jsontext.Value{}
			for other, value := range members {
				if other != name {
					less[other] = value
				}
			}
			text, err := json.Marshal(less)
			if err != nil {
				t.Fatal(err)
			}
			poor := answers{}
			for p, a := range all {
				poor[p] = a
			}
			poor[path] = text
			for i, r := range reports {
				if !asked[i][path] {
					continue
				}
				if d, err := r.make(t.Context(), lenient{poor}); err == nil {
					if err := errorsOf(d); err != nil {
						t.Errorf("%s without %s of %s: %v", r.name, name, path, err)
					}
				}
			}
		}
	}
}

// noting notes what is asked for.
type noting struct {
	answers
	asked map[string]bool
}

func (n noting) Get(ctx context.Context, path string) ([]byte, error) {
	n.asked[path] = true
	return n.answers.Get(ctx, path)
}

func errorsOf(d *report.Document) error {
	for _, width := range []int{1, 60, 200} {
		if err := report.WriteText(io.Discard, d, report.Screen{Width: width, Colour: true}); err != nil {
			return err
		}
	}
	return report.WriteHTML(io.Discard, d)
}

// TestReports_Failing passes on what the server said.
func TestReports_Failing(t *testing.T) {
	t.Parallel()
	for _, r := range reports {
		for _, code := range []datastorage.Code{datastorage.CodeUnavailable, datastorage.CodeInternal} {
			if d, err := r.make(t.Context(), failing{datastorage.Errorf(code, "no")}); datastorage.CodeOf(err) != code {
				t.Errorf("%s: %v, %v", r.name, d, err)
			}
		}
		if _, err := r.make(t.Context(), failing{}); err == nil {
			t.Errorf("%s: an answer that is no JSON made a report", r.name)
		}
	}
	for _, r := range []makeReport{correlation("rr-none"), ofWorkflow("none")} {
		if _, err := r(t.Context(), lenient{}); datastorage.CodeOf(err) != datastorage.CodeNotFound {
			t.Errorf("nothing was found: %v", err)
		}
	}
}

// failing is a server that answers nothing right.
type failing struct{ err error }

func (f failing) Get(context.Context, string) ([]byte, error) { return []byte("<html>"), f.err }

func TestParseWeek(t *testing.T) {
	t.Parallel()
	for at := time.Date(2019, 12, 25, 23, 0, 0, 0, time.UTC); at.Year() < 2031; at = at.Add(25 * time.Hour) {
		w := report.WeekOf(at)
		parsed, err := report.ParseWeek(w.String())
		if err != nil || parsed != w || at.Before(w.Start()) || !at.Before(w.Start().AddDate(0, 0, 7)) {
			t.Fatalf("%v lies in %v, which begins %v and reads as %v, %v", at, w, w.Start(), parsed, err)
		}
	}
	for _, s := range []string{"", "2026", "2026-19", "2026-W5", "2026-W00", "2026-W54", "2025-W53", "2026-W19 ", "x2026-W19", "2026-w19", "-026-W19"} {
		if w, err := report.ParseWeek(s); err == nil {
			t.Errorf("%q reads as %v", s, w)
		}
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	for _, s := range []report.Range{"", "d", "7", "0d", "-1d", "1.5d", "7w", "7dd", "07d", "7d ", "999999999d"} {
		if _, err := report.OfWorkflow(t.Context(), failing{}, "x", s, now); err == nil || !strings.Contains(err.Error(), "30d") {
			t.Errorf("the range %q: %v", s, err)
		}
	}
}
