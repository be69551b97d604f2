package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

const producersPath = "/api/v1/audit/producers"

// gapsPath is the path of a producer's gaps.
func gapsPath(id string) string { return producersPath + "/" + url.PathEscape(id) + "/gaps" }

func TestServer_Producers(t *testing.T) {
	s := newServer(t)
	if a := s.send(http.MethodGet, producersPath, nil); string(a.body) != `{"data":[],"pagination":{"limit":50,"offset":0,"has_more":false}}` {
		t.Errorf("an empty store: %s", a.body)
	}
	for _, seq := range []int{5, 6, 9, 7, 6, 20} {
		s.write("producer_id", "gateway/1 é", "producer_seq", seq)
	}
	s.write("producer_id", "whole", "producer_seq", 0)
	s.write()
	got := s.get(gapsPath("gateway/1 é"))
	want := object{
		"producer_id": "gateway/1 é", "lowest_seq": 5.0, "highest_seq": 20.0, "event_count": 6.0, "missing_count": 11.0, "gap_count": 2.0,
		"repeated_count": 1.0, "last_event_at": got["last_event_at"], "last_log_index": 5.0,
		"gaps":     []any{object{"first_seq": 8.0, "last_seq": 8.0}, object{"first_seq": 10.0, "last_seq": 19.0}},
		"repeated": []any{object{"producer_seq": 6.0, "log_index": 4.0}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the gaps are\n%v, want\n%v", got, want)
	}
	for query, want := range map[string]string{"": "[gateway/1 é whole]", "limit=1": "[gateway/1 é whole]", "incomplete=true": "[gateway/1 é]", "incomplete=false": "[gateway/1 é whole]"} {
		ids := []string{}
		for cursor := ""; ; {
			page := s.get(producersPath + "?" + query + "&cursor=" + cursor)
			for _, row := range page["data"].([]any) {
				ids = append(ids, row.(object)["producer_id"].(string))
			}
			if page["pagination"].(object)["has_more"] == false {
				break
			}
			cursor = page["pagination"].(object)["next_cursor"].(string)
		}
		if fmt.Sprint(ids) != want {
			t.Errorf("%s: %v, want %s", query, ids, want)
		}
	}
	for _, query := range []string{"limit=0", "incomplete=maybe", "offset=3", "cursor=AAAA"} {
		s.problem(s.send(http.MethodGet, producersPath+"?"+query, nil), http.StatusBadRequest, "validation-error")
	}
	for _, id := range []string{"unknown", "\xff"} {
		s.problem(s.send(http.MethodGet, gapsPath(id), nil), http.StatusNotFound, "not-found", "no event has this producer_id")
	}
}
