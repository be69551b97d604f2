package ssetest_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/datastorage-io/datastorage/internal/ssetest"
)

func TestReader_Next(t *testing.T) {
	t.Parallel()
	const stream = ": hello\nretry: 10\nid: 1\n\nid: 2\nevent: audit\ndata: {}\n\ndata:a\ndata: b\n\nid: 3\ndata: broken off"
	want := []ssetest.Block{
		{ID: "1", Comments: []string{"hello"}},
		{ID: "2", Type: "audit", Data: "{}"},
		{ID: "2", Type: "message", Data: "a\nb"},
	}
	r := ssetest.NewReader(strings.NewReader(stream))
	for i, w := range want {
		got, err := r.Next()
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("block %d is %+v, %v, want %+v", i, got, err, w)
		}
	}
	if b, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end stands %+v, %v", b, err)
	}
}
