package datastorage

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Wildcard is the label value that matches any other.
const Wildcard = "*"

// WorkflowStatuses are the values of a workflow's status; the first is the default.
var WorkflowStatuses = []string{StatusActive, StatusDisabled, StatusDeprecated, StatusArchived}

// The values of a workflow's status.
const (
	StatusActive     = "active"
	StatusDisabled   = "disabled"
	StatusDeprecated = "deprecated"
	StatusArchived   = "archived"
)

// Severities and Priorities are the values of those labels, Wildcard left out.
var (
	Severities = []string{"critical", "high", "medium", "low", "warning", "info"}
	Priorities = []string{"P0", "P1", "P2", "P3"}
)

// Workflow is one version of a remediation workflow: how to fix one kind of incident, and the labels that it is found
// by. Everything but State is immutable. Lengths count characters; "" stands for an optional text that is absent.
type Workflow struct {
	ID          uuid.UUID // from the server
	Name        string    // workflow_name, 1 to 255; (Name, Version) is unique by the version's meaning
	Version     string    // 1 to 50, as it was sent; see ParseSemVer
	Title       string    // name, 1 to 255
	Description string
	Content     string
	ContentHash string // 64 hex digits: SHA-256 of Content
	Engine      string // execution_engine, 1 to 50
	Labels      Labels
	// CustomLabels are the values of each key: at most 10 keys of at most 63, at most 5 values of at most 100.
	CustomLabels map[string][]string
	Detected     DetectedLabels
	// Parameters is the JSON object as it was sent, in canonical form; nil when there is none.
	Parameters          jsontext.Value
	ContainerImage      string
	ContainerDigest     string // "sha256:" and 64 hex digits
	Owner               string
	Maintainer          string
	ActionType          string // up to 100
	PreviousVersion     string
	VersionNotes        string
	ChangeSummary       string
	ApprovedBy          string
	ApprovedAt          time.Time // zero when absent
	ExpectedSuccessRate *float64  // 0 to 1
	ExpectedDuration    *int64    // expected_duration_seconds, 0 or more
	CreatedBy           string
	DeprecationNotice   string
	// Guidance is what a workflow document says beyond the fields above; nil for one that came as JSON without it.
	Guidance  *Guidance
	CreatedAt time.Time // UTC, whole microseconds

	WorkflowState
}

// WorkflowState is the part of a workflow that changes.
type WorkflowState struct {
	Status         string
	StatusReason   string
	DisabledAt     time.Time // zero while it is not disabled
	DisabledBy     string
	DisabledReason string
	UpdatedAt      time.Time
	UpdatedBy      string
}

// Labels are the five mandatory labels of a workflow: the values that each matches, never none. Wildcard among them
// matches any.
type Labels struct {
	SignalType, Severity, Component, Environment, Priority []string
}

// DetectedLabels are what is known of the cluster. A nil boolean and an empty text are absent, which is not false.
type DetectedLabels struct {
	GitOpsManaged, PDBProtected, HPAEnabled, Stateful, HelmManaged, NetworkIsolated *bool

	GitOpsTool  string // argocd, flux or Wildcard
	ServiceMesh string // istio, linkerd or Wildcard
	// Failed are the names of labels whose detection failed (failed_detections).
	Failed []string
	// Other are members that the contract does not know, a JSON object in canonical form; nil when there are none. They
	// count nothing.
	Other jsontext.Value
}

// Guidance tells a person or an agent when a workflow or an action is the right one.
type Guidance struct {
	What          string
	WhenToUse     string
	WhenNotToUse  string
	Preconditions string
}

// ActionType is a kind of remediation that workflows implement.
type ActionType struct {
	Name string // spec.name, for example "RestartPod"; 1 to 100
	Guidance
	// Content is the document that it was imported from, and ContentHash its SHA-256 in hex digits.
	Content, ContentHash string
	UpdatedAt            time.Time
}

// WorkflowSearch is what an agent asks of the catalogue: the labels of an incident.
type WorkflowSearch struct {
	// Each of the five holds one value; Wildcard matches only a workflow's Wildcard.
	SignalType, Severity, Component, Environment, Priority string

	CustomLabels map[string][]string
	Detected     DetectedLabels
	// Statuses that a candidate may have; never none.
	Statuses []string
	// ActionType restricts the candidates; "" does not.
	ActionType string
	TopK       int // 1 to 100
	// MinScore is the least final score of a result in units of 1/10 000.
	MinScore int
	Explain  bool
	// AsOf asks the catalogue as it was then; zero is now.
	AsOf time.Time
	// RemediationID is the incident that the search is for; "" when it is not known.
	RemediationID string
	// ByOutcomes asks for a ranking that knows how workflows fared with SignalType; not together with AsOf.
	ByOutcomes bool
}

// CatalogChange is one step of the catalogue's history, which is append-only: the catalogue at version n is what its
// first n changes make of an empty one.
type CatalogChange struct {
	// Version is the position of the change, from 1, without holes. Storing the change that follows the last one known is
	// the compare-and-swap between replicas.
	Version int64
	// Time is when the change was made: UTC, whole microseconds, never before that of the change before it.
	Time time.Time
	// Kind says what Document is.
	Kind CatalogChangeKind
	// WorkflowID is the workflow that is made or changed; the nil UUID for an action type or an event type.
	WorkflowID uuid.UUID
	// Key is what no two changes may share, "" when the change claims nothing: see WorkflowKey and EventTypeKey.
	Key string
	// Document is the whole workflow, its new state, the action type, or the version of an event type, as JSON.
	Document []byte
}

// CatalogChangeKind is what a change of the catalogue does.
type CatalogChangeKind string

// The kinds of change.
const (
	ChangeWorkflow   CatalogChangeKind = "workflow"    // a new workflow
	ChangeState      CatalogChangeKind = "state"       // the new state of a workflow
	ChangeActionType CatalogChangeKind = "action_type" // a new or changed action type
	ChangeEventType  CatalogChangeKind = "event_type"  // the next version of an event type
)

// WorkflowKey is what makes a workflow unique: its name and the meaning of its version.
func WorkflowKey(name string, v SemVer) string { return name + "\x00" + v.String() }
