package datastorage

import (
	"testing"
)

func TestParseSemVer(t *testing.T) {
	t.Parallel()
	valid := map[string]string{
		"1": "1.0.0", "v1": "1.0.0", "1.2": "1.2.0", "v1.2.3": "1.2.3", "1.5.3": "1.5.3", "0.0.0": "0.0.0",
		"1.0.0-rc.1": "1.0.0-rc.1", "1.0-alpha": "1.0.0-alpha", "1.0.0+build.5": "1.0.0", "v1.0.0-a-b.1+x": "1.0.0-a-b.1",
		"99999999999999999999.0.1": "99999999999999999999.0.1",
	}
	for text, want := range valid {
		got, err := ParseSemVer(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseSemVer(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "v", "latest", "1.2.3.4", "1..2", "01.2.3", "1.2.x", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+", "1.0.0-a_b", "vv1", " 1", "1.0 ", "-1", "+1", "٣",
	} {
		if v, err := ParseSemVer(text); err == nil {
			t.Errorf("ParseSemVer(%q) = %v, want an error", text, v)
		}
	}
}

func TestSemVer_Compare(t *testing.T) {
	t.Parallel()
	// In order; the pre-releases are the example of semver.org, 2.0.0, section 11.
	order := []string{
		"0.9.12", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0-rc.1", "v1.0", "1.0.1", "1.2.0", "1.10", "2", "18446744073709551616.0.0",
	}
	for i := range order {
		for j := range order {
			a, errA := ParseSemVer(order[i])
			b, errB := ParseSemVer(order[j])
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			want := min(1, max(-1, i-j))
			if got := a.Compare(b); got != want {
				t.Errorf("%s compared with %s is %d, want %d", order[i], order[j], got, want)
			}
		}
	}
}
