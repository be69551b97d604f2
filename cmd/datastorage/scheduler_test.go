package main

import (
	"runtime"
	"testing"
)

func TestAddSpareProcs(t *testing.T) {
	defer runtime.SetDefaultGOMAXPROCS()
	runtime.SetDefaultGOMAXPROCS()
	usual := runtime.GOMAXPROCS(0)
	for _, step := range []struct {
		environ []string
		want    int
	}{
		{[]string{"PATH=/bin", "GOMAXPROCS=7"}, usual},
		{[]string{"PATH=/bin"}, usual + spareProcs},
		{nil, usual + spareProcs}, // the second time adds nothing
	} {
		addSpareProcs(step.environ)
		if got := runtime.GOMAXPROCS(0); got != step.want {
			t.Errorf("with %q it is %d, want %d", step.environ, got, step.want)
		}
	}
}
