package remediation

import (
	"fmt"
	"strconv"
	"time"
)

// encode writes the facts for the projection: a JSON object of facts by name, in order, each an object with its value v, its
// rank r unless that is 0, its time t in microseconds since 1970 and its log_index i. It is written by hand, and read so,
// because every event that says something passes here.
func (f *Facts) encode() []byte {
	b := []byte{'{'}
	for slot := range f.known {
		if !f.knows(slot) {
			continue
		}
		fact := &f.known[slot]
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), names()[slot]...), `":{"v":`...)
		b = append(b, fact.Value...)
		if fact.Rank != 0 {
			b = strconv.AppendInt(append(b, `,"r":`...), int64(fact.Rank), 10)
		}
		b = strconv.AppendInt(append(b, `,"t":`...), fact.Time.UnixMicro(), 10)
		b = strconv.AppendInt(append(b, `,"i":`...), fact.LogIndex, 10)
		b = append(b, '}')
	}
	return append(b, '}')
}

// decode adds facts that were encoded. They refer to b, which must not change any more.
func (f *Facts) decode(b []byte) error {
	stored := objectOf(b)
	if len(stored) == 0 && string(b) != "{}" {
		return fmt.Errorf("the facts of a remediation are no object: %.64q", b)
	}
	var room [4]member
	for _, m := range stored {
		slot, ok := slots()[string(m.name)]
		if !ok {
			return fmt.Errorf("a remediation has the fact %.64q, which is unknown", m.name)
		}
		var fact Fact
		for _, part := range appendMembers(room[:0], m.value) {
			if string(part.name) == "v" {
				fact.Value = part.value
				continue
			}
			n, err := strconv.ParseInt(string(part.value), 10, 64)
			if err != nil {
				return fmt.Errorf("the fact %.64q of a remediation: %w", m.name, err)
			}
			switch string(part.name) {
			case "r":
				fact.Rank = int(n)
			case "t":
				fact.Time = time.UnixMicro(n).UTC()
			case "i":
				fact.LogIndex = n
			}
		}
		f.learn(slot, fact)
	}
	return nil
}

// at is when the remediation was completed, or else its latest event.
func (f *Facts) at() time.Time {
	if completed, ok := f.Get("completed_at"); ok {
		return completed.Moment()
	}
	if last, ok := f.Get("last_event_at"); ok {
		return last.Moment()
	}
	return time.UnixMicro(0).UTC()
}
