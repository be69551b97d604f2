package httpapi

import (
	"testing"

	"github.com/datastorage-io/datastorage"
)

func TestBudget(t *testing.T) {
	b := &budget{limit: 100}
	first, second := &call{}, &call{}
	if err := b.take(first, 60); err != nil {
		t.Fatal(err)
	}
	if err := b.take(second, 60); datastorage.CodeOf(err) != datastorage.CodeUnavailable {
		t.Errorf("beyond the limit: %v", err)
	}
	if err := b.take(second, 40); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	b.giveBack(first)
	b.giveBack(first)
	if used := b.used.Load(); used != 40 {
		t.Errorf("%d bytes are taken, want 40", used)
	}
	b.giveBack(second)
	if err := b.take(first, 500); err != nil {
		t.Errorf("one call alone: %v", err)
	}
}
