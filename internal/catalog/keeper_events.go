package catalog

import (
	"github.com/go-json-experiment/json"

	"github.com/datastorage-io/datastorage"
)

// The audit events of changes. Each is stored in the transaction of its change.
const (
	eventCategory    = "workflow"
	workflowEvents   = "datastorage.workflow."
	actionTypeEvents = "datastorage.action_type."
	eventTypeEvents  = "datastorage.event_type."
)

// Actor is who makes a change. The zero value is the server itself.
type Actor struct {
	Type string // for example "client"; up to 50 characters
	ID   string // up to 255 characters
}

// workflowData is the event_data of a change of a workflow.
type workflowData struct {
	WorkflowID     string `json:"workflow_id"`
	WorkflowName   string `json:"workflow_name"`
	Version        string `json:"version"`
	CatalogVersion int64  `json:"catalog_version"`
	DocumentSHA256 string `json:"document_sha256"`
	ContentHash    string `json:"content_hash,omitempty"`
	Status         string `json:"status"`
	Actor          string `json:"actor,omitempty"`
	Reason         string `json:"reason,omitempty"`
}

func workflowEvent(act string, w *datastorage.Workflow, c *datastorage.CatalogChange, by Actor, reason string) (datastorage.Event, error) {
	id := w.ID.String()
	data := workflowData{
		WorkflowID: id, WorkflowName: w.Name, Version: w.Version, CatalogVersion: c.Version, DocumentSHA256: digest(c.Document),
		Status: w.Status, Actor: by.ID, Reason: reason,
	}
	if c.Kind == datastorage.ChangeWorkflow {
		data.ContentHash = w.ContentHash
	}
	return newEvent(workflowEvents+act, act, id, "workflow", by, data)
}

// actionTypeData is the event_data of a change of an action type.
type actionTypeData struct {
	ActionType     string `json:"action_type"`
	CatalogVersion int64  `json:"catalog_version"`
	DocumentSHA256 string `json:"document_sha256"`
	ContentHash    string `json:"content_hash"`
	Actor          string `json:"actor,omitempty"`
}

func actionTypeEvent(act string, a *datastorage.ActionType, c *datastorage.CatalogChange, by Actor) (datastorage.Event, error) {
	return newEvent(actionTypeEvents+act, act, a.Name, "action_type", by, actionTypeData{
		ActionType: a.Name, CatalogVersion: c.Version, DocumentSHA256: digest(c.Document), ContentHash: a.ContentHash, Actor: by.ID,
	})
}

// eventTypeData is the event_data of a new version of an event type.
type eventTypeData struct {
	EventType      string `json:"event_type"`
	Version        int64  `json:"version"`
	Mode           string `json:"mode"`
	CatalogVersion int64  `json:"catalog_version"`
	DocumentSHA256 string `json:"document_sha256"`
	SchemaSHA256   string `json:"schema_sha256"`
	Forced         bool   `json:"forced,omitempty"`
	Actor          string `json:"actor,omitempty"`
}

func eventTypeEvent(t *datastorage.EventType, c *datastorage.CatalogChange, forced bool, by Actor) (datastorage.Event, error) {
	act := "updated"
	if t.Version == 1 {
		act = "created"
	}
	return newEvent(eventTypeEvents+act, act, t.Name, "event_type", by, eventTypeData{
		EventType: t.Name, Version: t.Version, Mode: t.Mode, CatalogVersion: c.Version, DocumentSHA256: digest(c.Document),
		SchemaSHA256: digest(t.Schema), Forced: forced, Actor: by.ID,
	})
}

// newEvent makes an event about a resource, whose id is its correlation_id too.
func newEvent(kind, act, resource, resourceType string, by Actor, data any) (datastorage.Event, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return datastorage.Event{}, err
	}
	canonical, err := datastorage.Canonical(raw)
	if err != nil {
		return datastorage.Event{}, err
	}
	if by == (Actor{}) {
		by = Actor{Type: "service", ID: "datastorage"}
	}
	return datastorage.Event{
		Version: "1.0", Type: kind, Category: eventCategory, Action: act, Outcome: "success", CorrelationID: resource,
		Data: canonical, ActorType: by.Type, ActorID: by.ID, ResourceType: resourceType, ResourceID: resource, Severity: "info",
	}, nil
}
