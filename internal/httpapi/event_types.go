package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/auth"
	"github.com/datastorage-io/datastorage/internal/catalog"
	"github.com/datastorage-io/datastorage/internal/eventtype"
)

// Limits of the check of stored events against a new schema, and of what answers tell.
const (
	maxCheckedEvents = 1000
	checkedPage      = 50
	checkTime        = 2 * time.Second
	maxToldFailures  = 10
	maxToldVersions  = 100
)

// eventTypeRow is an event type in a list, and one of its versions.
type eventTypeRow struct {
	EventType   string    `json:"event_type,omitzero"`
	Version     int64     `json:"version"`
	Mode        string    `json:"mode"`
	Owner       string    `json:"owner,omitzero"`
	Description string    `json:"description,omitzero"`
	SchemaSHA   string    `json:"schema_sha256"`
	UpdatedAt   time.Time `json:"updated_at,omitzero"`
	UpdatedBy   string    `json:"updated_by,omitzero"`
}

func newEventTypeRow(t *datastorage.EventType) eventTypeRow {
	sum := sha256.Sum256(t.Schema)
	return eventTypeRow{
		EventType: t.Name, Version: t.Version, Mode: t.Mode, Owner: t.Owner, Description: t.Description,
		SchemaSHA: hex.EncodeToString(sum[:]), UpdatedAt: t.UpdatedAt, UpdatedBy: t.UpdatedBy,
	}
}

// eventTypeDoc is one version of an event type, and which others there are.
type eventTypeDoc struct {
	eventTypeRow
	Schema        jsontext.Value   `json:"schema"`
	Examples      []jsontext.Value `json:"examples,omitzero"`
	Versions      []eventTypeRow   `json:"versions,omitzero"`
	VersionsTotal int              `json:"versions_total,omitzero"`
}

type eventTypeList struct {
	EventTypes []eventTypeRow `json:"event_types"`
	Total      int            `json:"total"`
}

func (s *Server) listEventTypes(*call) (*response, error) {
	all := s.cfg.Catalogue.Snapshot().EventTypes().All()
	list := eventTypeList{EventTypes: make([]eventTypeRow, len(all)), Total: len(all)}
	for i, t := range all {
		list.EventTypes[i] = newEventTypeRow(t)
	}
	return encode(http.StatusOK, list)
}

func (s *Server) getEventType(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	wanted := p.integer("version", -1, 0, 1<<53)
	if err := p.err(); err != nil {
		return nil, err
	}
	versions := s.cfg.Catalogue.Snapshot().EventTypes().Versions(c.PathValue("type"))
	if len(versions) == 0 {
		return nil, datastorage.Errorf(datastorage.CodeNotFound, "no such event type is known")
	}
	for _, t := range versions {
		if wanted == -1 || t.Version == wanted {
			return c.answerEventType(http.StatusOK, t, versions)
		}
	}
	return nil, datastorage.Errorf(datastorage.CodeNotFound, "this event type has no version %d; the newest is %d", wanted, versions[0].Version)
}

// answerEventType answers with a version, whose number is the ETag.
func (c *call) answerEventType(status int, t *datastorage.EventType, versions []*datastorage.EventType) (*response, error) {
	doc := eventTypeDoc{eventTypeRow: newEventTypeRow(t), Schema: t.Schema, Examples: t.Examples, VersionsTotal: len(versions)}
	for _, v := range versions[:min(len(versions), maxToldVersions)] {
		row := newEventTypeRow(v)
		row.EventType, row.Owner, row.Description = "", "", ""
		doc.Versions = append(doc.Versions, row)
	}
	c.w.Header().Set("ETag", strconv.Quote(strconv.FormatInt(t.Version, 10)))
	return encode(status, doc)
}

// storedCheck says what stored events are under a new schema.
type storedCheck struct {
	Checked int `json:"checked"`
	Failed  int `json:"failed"`
	// Complete says that no event of the type was left out.
	Complete bool          `json:"complete"`
	Failures []failedEvent `json:"failures"`
	schema   *eventtype.Schema
}

// failedEvent is a stored event that breaks a new schema, and the first rule that it breaks.
type failedEvent struct {
	EventID  uuid.UUID `json:"event_id"`
	LogIndex int64     `json:"log_index"`
	eventtype.Violation
}

// putDoc is the answer to a version that was, or would be, stored.
type putDoc struct {
	EventType string       `json:"event_type"`
	Version   int64        `json:"version"`
	Changed   bool         `json:"changed"`
	DryRun    bool         `json:"dry_run"`
	Check     *storedCheck `json:"check,omitzero"`
}

// putEventType stores the next version of an event type. What stored events would break is told before it is taken.
func (s *Server) putEventType(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	force, dryRun := p.flag("force"), p.flag("dry_run")
	if err := p.err(); err != nil {
		return nil, err
	}
	how := catalog.PutEventType{Forced: force}
	if how.IfVersion, err = ifMatch(c.Request); err != nil {
		return nil, err
	}
	t, schema, err := s.readEventType(c)
	if err != nil {
		return nil, err
	}
	newest, known := s.cfg.Catalogue.Snapshot().EventTypes().Get(t.Name)
	if err := s.mayPut(c, t, newest, force, dryRun); err != nil {
		return nil, err
	}
	doc := putDoc{EventType: t.Name, DryRun: dryRun, Version: 1, Changed: true}
	if known {
		doc.Changed = newest.Version == 0 || !newest.SameContent(t)
		doc.Version = newest.Version + 1
	}
	if doc.Changed && !force && (dryRun || t.Mode != datastorage.ModeOff) {
		if doc.Check, err = s.checkStored(c.Context(), t.Name, schema); err != nil {
			return nil, err
		}
	}
	if dryRun {
		return doc.answerDryRun(c, newest, how.IfVersion)
	}
	if doc.Check != nil && doc.Check.Failed > 0 {
		return nil, doc.refusal()
	}
	stored, changed, err := s.cfg.Catalogue.PutEventType(c.Context(), t, how, s.actor(c))
	if err != nil {
		return nil, err
	}
	doc.Version, doc.Changed = stored.Version, changed
	status := http.StatusOK
	if changed {
		status = http.StatusCreated
	}
	return doc.answer(c, status)
}

// ifMatch reads the version of the header If-Match; nil when there is none.
func ifMatch(r *http.Request) (*int64, error) {
	values := r.Header["If-Match"]
	if len(values) == 0 || values[0] == "" {
		return nil, nil
	}
	version, err := strconv.ParseInt(strings.Trim(values[0], `"`), 10, 64)
	if err != nil || version < 0 || len(values) > 1 {
		return nil, datastorage.Errorf(datastorage.CodeValidation, `the header If-Match must be one version, such as "3"`)
	}
	return &version, nil
}

// readEventType reads the body: an event type whose schema compiles and whose examples are as it says.
func (s *Server) readEventType(c *call) (*datastorage.EventType, *eventtype.Schema, error) {
	name := c.PathValue("type")
	if fault := datastorage.CheckEventTypeName(name); fault != "" {
		return nil, nil, datastorage.Invalid(map[string]string{"event_type": "event_type in the path " + fault})
	}
	body, err := s.readBody(c, datastorage.MaxEventTypeBodyBytes)
	if err != nil {
		return nil, nil, err
	}
	t, err := datastorage.DecodeEventType(body, name)
	if err != nil {
		return nil, nil, err
	}
	schema, err := eventtype.CompileType(t)
	return t, schema, err
}

// mayPut checks what a version needs beside the role write: admin for what decides whether events are refused, and for
// what is not checked first; read for the check, which tells of stored events.
func (s *Server) mayPut(c *call, t, newest *datastorage.EventType, force, dryRun bool) error {
	enforces := t.Mode == datastorage.ModeEnforce || newest != nil && newest.Mode == datastorage.ModeEnforce
	if !dryRun && (enforces || force) {
		return s.authorize(c, auth.RoleAdmin)
	}
	if dryRun || t.Mode != datastorage.ModeOff {
		return s.authorize(c, auth.RoleRead)
	}
	return nil
}

// checkStored checks the newest stored events of a type against a schema, as many as there is time for.
func (s *Server) checkStored(ctx context.Context, name string, schema *eventtype.Schema) (check *storedCheck, err error) {
	defer s.metrics.query("check_event_type", s.cfg.Now(), &err)
	check = &storedCheck{Failures: []failedEvent{}, schema: schema}
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	q := datastorage.EventQuery{EventType: name, Limit: checkedPage, Count: datastorage.CountNone}
	for check.Checked < maxCheckedEvents {
		page, err := s.cfg.Reader.Events(bounded, q)
		if err == nil {
			err = check.addAll(bounded, page.Events)
		}
		if check.Checked > 0 && bounded.Err() != nil && ctx.Err() == nil {
			return check, nil // what was checked is told
		}
		if err != nil {
			return nil, err
		}
		if !page.HasMore {
			check.Complete = true
			return check, nil
		}
		last := &page.Events[len(page.Events)-1]
		q.After, q.Size = &datastorage.Position{Time: last.Time, ID: last.ID}, page.Size
	}
	return check, nil
}

// addAll checks stored events until there is no more time, which is an error.
func (d *storedCheck) addAll(ctx context.Context, events []datastorage.StoredEvent) error {
	for i := range events {
		if ctx.Err() != nil {
			return datastorage.Unavailable(ctx.Err(), "the stored events of this type cannot be checked in time; try again")
		}
		if err := d.add(&events[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *storedCheck) add(stored *datastorage.StoredEvent) error {
	e, err := datastorage.ParseBody(stored.Body)
	if err != nil {
		return fmt.Errorf("read stored event %s: %w", stored.ID, err)
	}
	d.Checked++
	found, total := d.schema.Check(e.Data)
	if total == 0 {
		return nil
	}
	d.Failed++
	if len(d.Failures) < maxToldFailures {
		d.Failures = append(d.Failures, failedEvent{stored.ID, stored.LogIndex, found[0]})
	}
	return nil
}

// refusal is the error for a schema that stored events break.
func (d *putDoc) refusal() error {
	extension, err := json.Marshal(map[string]any{"check": d.Check}, json.Deterministic(true))
	if err != nil {
		return err
	}
	return &datastorage.Error{
		Code: datastorage.CodeConflict,
		Detail: fmt.Sprintf("%d of the newest %d stored events of this type break the schema; force=true takes it all the same",
			d.Check.Failed, d.Check.Checked),
		Conflict:  &datastorage.Conflict{Resource: "event_type", Field: "schema", Value: d.EventType},
		Extension: extension,
	}
}

func (d *putDoc) answerDryRun(c *call, newest *datastorage.EventType, known *int64) (*response, error) {
	last := int64(0)
	if newest != nil {
		last = newest.Version
	}
	if known != nil && *known != last {
		return nil, catalog.VersionMoved(last, *known)
	}
	if !d.Changed {
		d.Version = last
	}
	return d.answer(c, http.StatusOK)
}

func (d *putDoc) answer(c *call, status int) (*response, error) {
	c.w.Header().Set("ETag", strconv.Quote(strconv.FormatInt(d.Version, 10)))
	return encode(status, d)
}
