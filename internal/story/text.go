package story

import (
	"fmt"
	"strings"
	"time"
)

// AppendText appends the timeline for a person to read: the summary, then a line for each event with the time since the
// first, indented below its parents.
func (t *Timeline) AppendText(b []byte) []byte {
	b = fmt.Appendf(b, "%s\n\n%s\n\n", oneLine(t.CorrelationID, maxLong), t.Summary.Text)
	for _, e := range t.Events {
		if e.LargeGap {
			b = fmt.Appendf(b, "%31s  … nothing for %s\n", "", span(time.Duration(e.GapMS)*time.Millisecond))
		}
		b = fmt.Appendf(b, "%s %9s  %s%s%s\n", e.Time.Format("2006-01-02 15:04:05Z"), "+"+span(time.Duration(e.ElapsedMS)*time.Millisecond),
			strings.Repeat("  ", min(e.Depth, 10)), e.Sentence, e.note())
	}
	if t.Truncated || t.Pagination.HasMore {
		b = append(b, "\nThere are more events than these.\n"...)
	}
	return b
}

// note marks what did not go well, and where the event stands in the log.
func (e *Entry) note() string {
	if e.Outcome == "success" {
		return fmt.Sprintf("  [%d]", e.LogIndex)
	}
	return fmt.Sprintf("  [%d, %s]", e.LogIndex, e.Outcome)
}
