package datastorage_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// TestAppendTime compares with what package time makes of TimeFormat.
func TestAppendTime(t *testing.T) {
	t.Parallel()
	check := func(t rapid.TB, at time.Time) {
		t.Helper()
		if got, want := string(datastorage.AppendTime([]byte("x"), at)), "x"+at.UTC().Format(datastorage.TimeFormat); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, at := range []time.Time{
		{}, time.Unix(0, 999), time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2199, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(2024, 2, 29, 1, 2, 3, 4000, time.FixedZone("", -3600)), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		check(t, at)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")))
	})
}
