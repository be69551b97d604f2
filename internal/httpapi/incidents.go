package httpapi

import (
	"net/http"
	"time"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/outcome"
)

const (
	// defaultIncidents is how many incidents a page holds unless the client says otherwise.
	defaultIncidents = 100
	// maxIncidentOffset bounds how many matches a page may skip.
	maxIncidentOffset = 1 << 40
)

// incidentRow is one execution of a remediation. A member that has no value is left out.
type incidentRow struct {
	ID              string     `json:"id"`
	CorrelationID   string     `json:"correlation_id"`
	ExecutionID     string     `json:"workflow_execution_id,omitzero"`
	SignalName      string     `json:"signal_name"`
	Severity        string     `json:"severity,omitzero"`
	Namespace       string     `json:"namespace,omitzero"`
	Cluster         string     `json:"cluster,omitzero"`
	Environment     string     `json:"environment,omitzero"`
	ActionType      string     `json:"action_type,omitzero"`
	WorkflowID      string     `json:"workflow_id,omitzero"`
	WorkflowVersion string     `json:"workflow_version,omitzero"`
	Status          string     `json:"status"`
	Outcome         string     `json:"outcome"`
	StartedAt       time.Time  `json:"started_at"`
	CompletedAt     *time.Time `json:"completed_at,omitzero"`
	DurationMS      *int64     `json:"duration_ms,omitzero"`
	LogIndex        int64      `json:"log_index"`
}

type incidentPage struct {
	Data       []incidentRow      `json:"data"`
	Pagination incidentPagination `json:"pagination"`
	LogSize    int64              `json:"log_size"`
}

type incidentPagination struct {
	Limit             int   `json:"limit"`
	Offset            int64 `json:"offset"`
	Total             int64 `json:"total"`
	TotalIsLowerBound bool  `json:"total_is_lower_bound,omitzero"`
	HasMore           bool  `json:"has_more"`
}

// incidentDetail is the latest execution of a correlation, and the others.
type incidentDetail struct {
	incidentRow
	Others    []incidentRow `json:"other_executions,omitzero"`
	Truncated bool          `json:"other_executions_truncated,omitzero"`
	LogSize   int64         `json:"log_size"`
}

func newIncidentRow(o *outcome.Outcome) incidentRow {
	row := incidentRow{
		ID: o.CorrelationID, CorrelationID: o.CorrelationID, ExecutionID: o.ExecutionID, SignalName: o.IncidentType,
		Severity: o.Severity, Namespace: o.Namespace, Cluster: o.Cluster, Environment: o.Environment, ActionType: o.ActionType,
		WorkflowID: o.WorkflowID, WorkflowVersion: o.WorkflowVersion, Status: string(o.Status), Outcome: o.EventOutcome,
		StartedAt: o.StartedAt(), LogIndex: o.LogIndex,
	}
	if t, ok := o.CompletedAt(); ok {
		row.CompletedAt = &t
	}
	if n, ok := o.DurationMS(); ok {
		row.DurationMS = &n
	}
	return row
}

func newIncidentRows(executions []outcome.Outcome) []incidentRow {
	rows := make([]incidentRow, len(executions))
	for i := range executions {
		rows[i] = newIncidentRow(&executions[i])
	}
	return rows
}

func (s *Server) listIncidents(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := outcome.IncidentQuery{
		Namespace: p.text("namespace"), IncidentType: p.text("signal_name"), Severity: p.text("severity"),
		Cluster: p.text("cluster"), Environment: p.text("environment"), ActionType: p.text("action_type"),
		Limit:  int(p.integer("limit", defaultIncidents, 1, datastorage.MaxLimit)),
		Offset: p.integer("offset", 0, 0, maxIncidentOffset),
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	defer s.metrics.query("list_incidents", s.cfg.Now(), &err)
	page, err := s.cfg.Outcomes.Incidents(c.Context(), q)
	if err != nil {
		return nil, err
	}
	return encode(http.StatusOK, &incidentPage{
		Data: newIncidentRows(page.Executions),
		Pagination: incidentPagination{
			Limit: q.Limit, Offset: q.Offset, Total: page.Total, TotalIsLowerBound: page.TotalIsLowerBound, HasMore: page.HasMore,
		},
		LogSize: page.LogSize,
	})
}

func (s *Server) getIncident(c *call) (*response, error) {
	id := c.PathValue("id")
	none := datastorage.Errorf(datastorage.CodeNotFound, "no execution of a remediation has this correlation_id")
	if !isText(id) {
		return nil, none
	}
	var err error
	defer s.metrics.query("get_incident", s.cfg.Now(), &err)
	page, err := s.cfg.Outcomes.Incident(c.Context(), id)
	if err != nil {
		return nil, err
	}
	if len(page.Executions) == 0 {
		return nil, none
	}
	detail := &incidentDetail{incidentRow: newIncidentRow(&page.Executions[0]), Truncated: page.HasMore, LogSize: page.LogSize}
	if others := page.Executions[1:]; len(others) > 0 {
		detail.Others = newIncidentRows(others)
	}
	return encode(http.StatusOK, detail)
}

// incidentSuccessRate is what has become of all executions of a workflow.
type incidentSuccessRate struct {
	WorkflowID string  `json:"workflow_id"`
	Total      int64   `json:"total_count"`
	Successful int64   `json:"success_count"`
	Failed     int64   `json:"failure_count"`
	Rate       float64 `json:"success_rate"` // 0 to 1
	LogSize    int64   `json:"log_size"`
}

func (s *Server) aggregateSuccessRate(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	id := p.text("workflow_id")
	if id == "" {
		p.fault("workflow_id", "is required")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	defer s.metrics.query("aggregate_incidents", s.cfg.Now(), &err)
	all := time.Unix(0, 0)
	rate, err := s.cfg.Outcomes.Rate(c.Context(), outcome.RateQuery{Dimensions: outcome.Dimensions{WorkflowID: id}, Since: all})
	if err != nil {
		return nil, err
	}
	return encode(http.StatusOK, &incidentSuccessRate{
		WorkflowID: id, Total: rate.Total, Successful: rate.Successful, Failed: rate.Failed, Rate: rate.SuccessRate(), LogSize: rate.LogSize,
	})
}

type aggregations[T any] struct {
	Aggregations []T   `json:"aggregations"`
	Truncated    bool  `json:"aggregations_truncated,omitzero"`
	LogSize      int64 `json:"log_size"`
}

type namespaceCount struct {
	Namespace string `json:"namespace"`
	Count     int64  `json:"count"`
}

type severityCount struct {
	Severity string `json:"severity"`
	Count    int64  `json:"count"`
}

func (s *Server) aggregateByNamespace(c *call) (*response, error) {
	var err error
	defer s.metrics.query("aggregate_incidents", s.cfg.Now(), &err)
	groups, err := s.cfg.Outcomes.CountBy(c.Context(), outcome.ColumnNamespace)
	if err != nil {
		return nil, err
	}
	return encodeGroups(groups, func(g outcome.Group) namespaceCount { return namespaceCount{g.Value, g.Count} })
}

func (s *Server) aggregateBySeverity(c *call) (*response, error) {
	var err error
	defer s.metrics.query("aggregate_incidents", s.cfg.Now(), &err)
	groups, err := s.cfg.Outcomes.CountBy(c.Context(), outcome.ColumnSeverity)
	if err != nil {
		return nil, err
	}
	return encodeGroups(groups, func(g outcome.Group) severityCount { return severityCount{g.Value, g.Count} })
}

func encodeGroups[T any](groups *outcome.Groups, item func(outcome.Group) T) (*response, error) {
	a := &aggregations[T]{Aggregations: []T{}, Truncated: groups.Truncated, LogSize: groups.LogSize}
	for _, g := range groups.Groups {
		a.Aggregations = append(a.Aggregations, item(g))
	}
	return encode(http.StatusOK, a)
}

// trendPeriods are the values of period, in days; the first is the default.
var trendPeriods = []struct {
	name string
	days int
}{{"7d", 7}, {"30d", 30}, {"90d", 90}}

type incidentTrend struct {
	Period  string      `json:"period"`
	Points  []dataPoint `json:"data_points"`
	LogSize int64       `json:"log_size"`
}

type dataPoint struct {
	Date  string `json:"date"`
	Count int64  `json:"count"`
}

func (s *Server) aggregateTrend(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, period := range trendPeriods {
		names = append(names, period.name)
	}
	name, chosen := p.enum("period", names...), trendPeriods[0]
	if err := p.err(); err != nil {
		return nil, err
	}
	for _, period := range trendPeriods {
		if period.name == name {
			chosen = period
		}
	}
	defer s.metrics.query("aggregate_incidents", s.cfg.Now(), &err)
	trend, err := s.cfg.Outcomes.Trend(c.Context(), chosen.days, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	a := &incidentTrend{Period: chosen.name, LogSize: trend.LogSize}
	for i, count := range trend.Counts {
		a.Points = append(a.Points, dataPoint{trend.First.AddDate(0, 0, i).Format(time.DateOnly), count})
	}
	return encode(http.StatusOK, a)
}
