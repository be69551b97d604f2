package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/datastorage-io/datastorage/internal/outcome"
)

// Outcomes is what the executions of remediations tell, see outcome.Reader. Errors are *datastorage.Error;
// CodeUnavailable also says that the answer is being derived from the log for the first time.
type Outcomes interface {
	// Rate counts the executions since a time and those that succeeded.
	Rate(ctx context.Context, q outcome.RateQuery) (*outcome.Rate, error)
	// Incidents returns one page of executions, the latest first.
	Incidents(ctx context.Context, q outcome.IncidentQuery) (*outcome.IncidentPage, error)
	// Incident returns the executions of a correlation, the latest first; none is not an error.
	Incident(ctx context.Context, correlationID string) (*outcome.IncidentPage, error)
	// CountBy counts all executions by the values of a column.
	CountBy(ctx context.Context, column outcome.Column) (*outcome.Groups, error)
	// Totals counts all executions of each of some workflows; those without executions are left out.
	Totals(ctx context.Context, workflowIDs []string) (map[string]outcome.Tally, error)
	// Trend counts the executions of the days up to that of now.
	Trend(ctx context.Context, days int, now time.Time) (*outcome.Trend, error)
}

const (
	// defaultTimeRange and maxTimeRange bound how far back a rate looks.
	defaultTimeRange = "7d"
	maxTimeRange     = 3650 * 24 * time.Hour
	// defaultSamples and maxSamples bound min_samples.
	defaultSamples = 5
	maxSamples     = 1_000_000_000
)

// successRate is the answer to a question for a rate.
type successRate struct {
	rateDimensions
	// Dimensions repeats them in one object, where V1.0 clients of several dimensions look.
	Dimensions *rateDimensions `json:"dimensions,omitzero"`
	TimeRange  string          `json:"time_range"`
	Total      int64           `json:"total_executions"`
	Successful int64           `json:"successful_executions"`
	Failed     int64           `json:"failed_executions"`
	Rate       float64         `json:"success_rate"` // 0 to 100
	Confidence string          `json:"confidence"`
	Enough     bool            `json:"min_samples_met"`
	Interval   rateInterval    `json:"interval"`
	Workflows  []workflowShare `json:"breakdown_by_workflow,omitzero"`
	Incidents  []incidentShare `json:"breakdown_by_incident_type,omitzero"`
	Truncated  bool            `json:"breakdown_truncated,omitzero"`
	Mode       aiExecutionMode `json:"ai_execution_mode"`
	Citations  []int64         `json:"citations,omitzero"`
	CutShort   bool            `json:"citations_truncated,omitzero"`
	LogSize    int64           `json:"log_size"`
}

type rateDimensions struct {
	IncidentType    string `json:"incident_type,omitzero"`
	WorkflowID      string `json:"workflow_id,omitzero"`
	WorkflowVersion string `json:"workflow_version,omitzero"`
	ActionType      string `json:"action_type,omitzero"`
}

// rateInterval is the 95 % Wilson score interval, 0 to 100.
type rateInterval struct {
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
}

type workflowShare struct {
	ID         string  `json:"workflow_id"`
	Version    string  `json:"workflow_version"`
	Executions int64   `json:"executions"`
	Rate       float64 `json:"success_rate"` // 0 to 1
}

type incidentShare struct {
	IncidentType string  `json:"incident_type"`
	Executions   int64   `json:"executions"`
	Rate         float64 `json:"success_rate"` // 0 to 1
}

type aiExecutionMode struct {
	Selected  int64 `json:"catalog_selected"`
	Chained   int64 `json:"chained"`
	Escalated int64 `json:"manual_escalation"`
}

// rateQuestion is what every question for a rate says.
type rateQuestion struct {
	outcome.RateQuery
	timeRange  string
	minSamples int64
}

// rateQuestion reads the parameters, of the dimensions those that are named.
func (p *params) rateQuestion(now time.Time, named ...string) rateQuestion {
	q := rateQuestion{timeRange: p.text("time_range"), minSamples: p.integer("min_samples", defaultSamples, 1, maxSamples)}
	if q.timeRange == "" {
		q.timeRange = defaultTimeRange
	}
	q.Since = now.Add(-p.timeRange(q.timeRange))
	q.Citations = p.flag("citations")
	for _, name := range named {
		value := p.text(name)
		switch name {
		case "incident_type":
			q.IncidentType = value
		case "workflow_id":
			q.WorkflowID = value
		case "workflow_version":
			q.WorkflowVersion = value
		case "action_type":
			q.ActionType = value
		}
	}
	if q.WorkflowVersion != "" && q.WorkflowID == "" {
		p.fault("workflow_id", "is required with workflow_version")
	}
	return q
}

// timeRange reads a span: digits, then h for hours or d for days.
func (p *params) timeRange(s string) time.Duration {
	unit := time.Hour
	switch s[len(s)-1] {
	case 'h':
	case 'd':
		unit = 24 * time.Hour
	default:
		unit = 0
	}
	digits := s[:len(s)-1]
	if unit == 0 || !isDigits(digits) {
		p.fault("time_range", "must be a number of hours or days, such as 24h or 7d")
		return 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case n == 0:
		p.fault("time_range", "must be at least 1h")
	case err != nil || n > int64(maxTimeRange/unit):
		p.fault("time_range", "must be at most %dd", maxTimeRange/(24*time.Hour))
		return 0
	}
	return time.Duration(n) * unit
}

func (s *Server) incidentTypeRate(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := p.rateQuestion(s.cfg.Now(), "incident_type")
	if q.IncidentType == "" {
		p.fault("incident_type", "is required")
	}
	return s.answerRate(c, p, &q, func(a *successRate, r *outcome.Rate) { a.Workflows = workflowShares(r) })
}

func (s *Server) workflowRate(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := p.rateQuestion(s.cfg.Now(), "workflow_id", "workflow_version")
	if q.WorkflowID == "" {
		p.fault("workflow_id", "is required")
	}
	return s.answerRate(c, p, &q, func(a *successRate, r *outcome.Rate) { a.Incidents = incidentShares(r) })
}

func (s *Server) multiDimensionalRate(c *call) (*response, error) {
	p, err := c.params()
	if err != nil {
		return nil, err
	}
	q := p.rateQuestion(s.cfg.Now(), "incident_type", "workflow_id", "workflow_version", "action_type")
	if q.RateQuery.Dimensions == (outcome.Dimensions{}) {
		p.fault("incident_type", "is required, or workflow_id or action_type: at least one of them")
	}
	return s.answerRate(c, p, &q, func(a *successRate, r *outcome.Rate) {
		a.Dimensions = &a.rateDimensions
		a.Workflows, a.Incidents = workflowShares(r), incidentShares(r)
	})
}

// answerRate answers a question whose parameters are right; breakdown adds what belongs to its dimensions.
func (s *Server) answerRate(c *call, p *params, q *rateQuestion, breakdown func(*successRate, *outcome.Rate)) (*response, error) {
	err := p.err()
	if err != nil {
		return nil, err
	}
	defer s.metrics.query("success_rate", s.cfg.Now(), &err)
	rate, err := s.cfg.Outcomes.Rate(c.Context(), q.RateQuery)
	if err != nil {
		return nil, err
	}
	lower, upper := rate.Wilson()
	a := &successRate{
		rateDimensions: rateDimensions(q.RateQuery.Dimensions),
		TimeRange:      q.timeRange,
		Total:          rate.Total, Successful: rate.Successful, Failed: rate.Failed,
		Rate: percent(rate.SuccessRate()), Confidence: rate.Confidence(), Enough: rate.Total >= q.minSamples,
		Interval:  rateInterval{percent(lower), percent(upper)},
		Truncated: rate.GroupsTruncated,
		Mode:      aiExecutionMode{rate.Selected, rate.Chained, rate.Escalated},
		Citations: rate.Citations, CutShort: rate.CitationsTruncated, LogSize: rate.LogSize,
	}
	if q.Citations && a.Citations == nil {
		a.Citations = []int64{}
	}
	breakdown(a, rate)
	return encode(http.StatusOK, a)
}

func percent(share float64) float64 { return 100 * share }

func workflowShares(r *outcome.Rate) []workflowShare {
	shares := make([]workflowShare, 0, len(r.ByWorkflow))
	for i := range r.ByWorkflow {
		w := &r.ByWorkflow[i]
		shares = append(shares, workflowShare{w.WorkflowID, w.WorkflowVersion, w.Total, w.SuccessRate()})
	}
	return shares
}

func incidentShares(r *outcome.Rate) []incidentShare {
	shares := make([]incidentShare, 0, len(r.ByIncidentType))
	for i := range r.ByIncidentType {
		t := &r.ByIncidentType[i]
		shares = append(shares, incidentShare{t.IncidentType, t.Total, t.SuccessRate()})
	}
	return shares
}
