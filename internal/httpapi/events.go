package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/ingest"
	"github.com/datastorage-io/datastorage/ledger"
)

// Limits of a request body in bytes.
const (
	maxEventBody = 512 << 10
	maxBatchBody = 16 << 20
)

func (s *Server) postEvent(c *call) (*response, error) {
	body, err := s.readBody(c, maxEventBody)
	if err != nil {
		return nil, err
	}
	key, err := idempotencyKey(c.Request)
	if err != nil {
		return nil, err
	}
	var events [1]datastorage.Event
	e := &events[0]
	if *e, err = s.cfg.Rules.Decode(body, c.began); err != nil {
		return nil, err
	}
	if err := applyKey(e, key); err != nil {
		return nil, err
	}
	applyTrace(e, first(c.Header, "Traceparent"))
	warnings, err := s.checkSchemas(c, events[:], false)
	if err != nil {
		return nil, err
	}
	stored, err := s.cfg.Writer.Write(c.Context(), events[:], false)
	s.metrics.written(stored, events[:], err, c.began, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	// Nothing of the event stands in the body any more.
	status, b := appendStored(body[:0], &stored[0])
	return &response{status: status, body: warnings.append(b)}, nil
}

// appendStored appends the answer to the write of one event.
func appendStored(b []byte, e *ingest.Stored) (status int, answer []byte) {
	b = append(b, `{"event_id":"`...)
	b = datastorage.AppendUUID(b, e.ID)
	b = append(b, `","event_timestamp":"`...)
	b = datastorage.AppendTime(b, e.Time)
	if e.Queued {
		return http.StatusAccepted, append(b, `","status":"accepted","message":"audit event queued for async processing"}`...)
	}
	b = append(b, `","message":"Audit event created successfully"`...)
	if e.Duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	b = append(b, `,"receipt":`...)
	b = appendReceipt(b, e.Receipt)
	return http.StatusCreated, append(b, '}')
}

func (s *Server) postBatch(c *call) (*response, error) {
	body, err := s.readBody(c, maxBatchBody)
	if err != nil {
		return nil, err
	}
	key, err := idempotencyKey(c.Request)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	events, err := s.cfg.Rules.DecodeBatch(body, now, s.cfg.MaxBatch)
	if err != nil {
		return nil, err
	}
	trace := first(c.Header, "Traceparent")
	for i := range events {
		if key != uuid.Nil {
			if err := applyKey(&events[i], uuid.NewSHA1(key, []byte(strconv.Itoa(i)))); err != nil {
				return nil, datastorage.AtIndex(i, err)
			}
		}
		applyTrace(&events[i], trace)
	}
	warnings, err := s.checkSchemas(c, events, true)
	if err != nil {
		return nil, err
	}
	stored, err := s.cfg.Writer.Write(c.Context(), events, true)
	s.metrics.written(stored, events, err, now, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	status, b := appendBatch(nil, stored)
	return &response{status: status, body: warnings.append(b)}, nil
}

// appendBatch appends the answer to the write of a batch. When some of its events are queued, it is that of all.
func appendBatch(b []byte, stored []ingest.Stored) (status int, answer []byte) {
	queued := false
	b = append(b, `{"event_ids":[`...)
	for i := range stored {
		b = comma(b, i)
		b = append(b, '"')
		b = datastorage.AppendUUID(b, stored[i].ID)
		b = append(b, '"')
		queued = queued || stored[i].Queued
	}
	if queued {
		return http.StatusAccepted, append(b, `],"status":"accepted","message":"audit event queued for async processing"}`...)
	}
	b = append(b, `],"message":"`...)
	b = strconv.AppendInt(b, int64(len(stored)), 10)
	b = append(b, ` audit events created successfully","receipts":[`...)
	duplicates := 0
	for i := range stored {
		b = comma(b, i)
		b = appendReceipt(b, stored[i].Receipt)
		if stored[i].Duplicate {
			duplicates++
		}
	}
	b = append(b, ']')
	if duplicates > 0 {
		b = append(b, `,"duplicates":[`...)
		n := 0
		for i := range stored {
			if stored[i].Duplicate {
				b = comma(b, n)
				b = strconv.AppendInt(b, int64(i), 10)
				n++
			}
		}
		b = append(b, ']')
	}
	return http.StatusCreated, append(b, '}')
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// appendReceipt appends {"log_index", "tree_size", "root_hash"}.
func appendReceipt(b []byte, r ledger.Receipt) []byte {
	b = append(b, `{"log_index":`...)
	b = strconv.AppendInt(b, r.LogIndex, 10)
	b = append(b, `,"tree_size":`...)
	b = strconv.AppendInt(b, r.TreeSize, 10)
	b = append(b, `,"root_hash":"`...)
	b = r.Root.AppendBase64(b)
	return append(b, `"}`...)
}

// idempotencyKey reads the header of that name; the nil UUID when there is none.
func idempotencyKey(r *http.Request) (uuid.UUID, error) {
	values := r.Header["Idempotency-Key"]
	if len(values) == 0 || values[0] == "" {
		return uuid.Nil, nil
	}
	// draft-ietf-httpapi-idempotency-key-header writes the key as a quoted string.
	key, err := datastorage.ParseUUID(strings.Trim(values[0], `"`))
	if err != nil || key == uuid.Nil || len(values) > 1 {
		return uuid.Nil, datastorage.Errorf(datastorage.CodeValidation, "the header Idempotency-Key must be one UUID")
	}
	return key, nil
}

// applyKey makes key the event's identifier; a body that names another one contradicts it.
func applyKey(e *datastorage.Event, key uuid.UUID) error {
	if key == uuid.Nil {
		return nil
	}
	if e.ID != uuid.Nil && e.ID != key {
		return datastorage.Invalid(map[string]string{
			"event_id": fmt.Sprintf("event_id must be %s, which the header Idempotency-Key says", key),
		})
	}
	e.ID = key
	e.Sent |= datastorage.FieldSet(datastorage.FieldID)
	return nil
}

// applyTrace fills in the trace of a traceparent header (W3C Trace Context) where the event names none.
func applyTrace(e *datastorage.Event, traceparent string) {
	if traceparent == "" || e.TraceID != "" || e.SpanID != "" {
		return
	}
	if trace, span, ok := parseTraceparent(traceparent); ok {
		e.TraceID, e.SpanID = trace, span
	}
}

// parseTraceparent reads version-trace-span-flags; what is malformed is ignored, as the recommendation says.
func parseTraceparent(h string) (trace, span string, ok bool) {
	const length = 2 + 1 + 32 + 1 + 16 + 1 + 2
	if len(h) < length || len(h) > 512 || h[2] != '-' || h[35] != '-' || h[52] != '-' {
		return "", "", false
	}
	version, trace, span := h[:2], h[3:35], h[36:52]
	if len(h) > length && (version == "00" || h[length] != '-') {
		return "", "", false
	}
	zero := strings.Trim(trace, "0") == "" || strings.Trim(span, "0") == ""
	if !isHex(version) || version == "ff" || !isHex(trace) || !isHex(span) || !isHex(h[53:55]) || zero {
		return "", "", false
	}
	return trace, span, true
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func (s *Server) getEvent(c *call) (*response, error) {
	e, err := s.readEvent(c)
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: datastorage.AppendRow(nil, &e)}, nil
}

func (s *Server) getBody(c *call) (*response, error) {
	e, err := s.readEvent(c)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("X-Ledger-Salt", encodeSalt(e.Salt))
	return &response{status: http.StatusOK, body: e.Body}, nil
}

func (s *Server) readEvent(c *call) (datastorage.StoredEvent, error) {
	id, err := datastorage.ParseUUID(c.PathValue("event_id"))
	if err != nil {
		return datastorage.StoredEvent{}, datastorage.Errorf(datastorage.CodeNotFound, "there is no such event: event_id is not a UUID")
	}
	defer s.metrics.query("get_event", s.cfg.Now(), &err)
	e, err := s.cfg.Reader.Event(c.Context(), id)
	return e, err
}
