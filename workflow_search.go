package datastorage

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// DefaultTopK is how many results a search returns that does not say it.
	DefaultTopK = 10
	// MaxTopK is the largest number of results that a search may ask for.
	MaxTopK = 100
	// ScoreScale is the score 1 in the units of WorkflowSearch.MinScore.
	ScoreScale = 10_000
)

// DecodeWorkflowSearch reads a search of the catalogue and fills in its defaults. It also returns the filters as they
// were sent, for the answer. Severity and priority come back as the contract spells them, the environment in lower case.
// A time in the future stands for now. The error is an *Error with CodeValidation that names every bad field by its path,
// for example filters.severity.
func DecodeWorkflowSearch(raw []byte, now time.Time) (s *WorkflowSearch, filters jsontext.Value, err error) {
	o, err := readObject(raw)
	if err != nil {
		return nil, nil, err
	}
	s = &WorkflowSearch{TopK: DefaultTopK}
	filters = o.members["filters"].Clone()
	o.object("filters", true, s.decodeFilters)
	o.take("top_k", s.decodeTopK)
	o.take("min_score", s.decodeMinScore)
	disabled := false
	o.boolean("include_disabled", func(b bool) { disabled = b })
	o.boolean("explain", func(b bool) { s.Explain = b })
	o.text(&textRule{"remediation_id", 255, false, nil}, &s.RemediationID)
	o.take("as_of", func(raw jsontext.Value) string { return s.decodeAsOf(raw, now) })
	o.take("rank", s.decodeRank)
	if err := o.finish(); err != nil {
		return nil, nil, err
	}
	if s.Statuses == nil {
		s.Statuses = []string{StatusActive}
		if disabled {
			s.Statuses = append(s.Statuses, StatusDisabled)
		}
	}
	err = filters.Compact()
	return s, filters, err
}

func (s *WorkflowSearch) decodeFilters(o *object) {
	for name, target := range s.labels() {
		o.take(name, func(raw jsontext.Value) string { return decodeFilter(name, raw, target) })
	}
	s.Environment = strings.ToLower(s.Environment)
	o.customLabels(&s.CustomLabels)
	s.Detected.decode(o)
	o.take("status", s.decodeStatuses)
	o.text(&textRule{"action_type", 100, false, nil}, &s.ActionType)
}

// labels are the values of the mandatory labels by name.
func (s *WorkflowSearch) labels() func(yield func(string, *string) bool) {
	return func(yield func(string, *string) bool) {
		_ = yield("signal_type", &s.SignalType) && yield("severity", &s.Severity) && yield("component", &s.Component) &&
			yield("environment", &s.Environment) && yield("priority", &s.Priority)
	}
}

func decodeFilter(name string, raw jsontext.Value, target *string) (fault string) {
	switch {
	case raw == nil:
		return "is required"
	case raw[0] != '"' && labelValues[name] == nil:
		return "must be a string"
	}
	*target, fault = decodeLabelValue(name, raw)
	return fault
}

// decodeStatuses decodes filters.status. What is there twice is kept once.
func (s *WorkflowSearch) decodeStatuses(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	fault := "must be an array of: " + strings.Join(WorkflowStatuses, ", ")
	if raw[0] != '[' {
		return fault
	}
	for _, element := range elements(raw) {
		status, ok := unquote(element)
		if !ok || !slices.Contains(WorkflowStatuses, status) {
			return fault
		}
		if !slices.Contains(s.Statuses, status) {
			s.Statuses = append(s.Statuses, status)
		}
	}
	return ""
}

func (s *WorkflowSearch) decodeTopK(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	k, fault := wholeNumber(raw, 1, MaxTopK)
	s.TopK = int(k)
	return fault
}

func (s *WorkflowSearch) decodeMinScore(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	const fault = "must be a number from 0 to 1"
	score, err := strconv.ParseFloat(string(raw), 64)
	if raw.Kind() != '0' || err != nil || score < 0 || score > 1 {
		return fault
	}
	var ok bool
	if s.MinScore, ok = scoreUnits(string(raw), score); !ok {
		return fault
	}
	return ""
}

// scoreUnits returns the least score in units of 1/ScoreScale that is not below a decimal number, of which score is the
// nearest double; ok is false when the number is above 1.
func scoreUnits(decimal string, score float64) (units int, ok bool) {
	// A very small number must not be written out: its exponent may be anything.
	if score < 1.0/ScoreScale/10 {
		digits, _, _ := strings.Cut(strings.ToLower(decimal), "e")
		return min(1, len(strings.Trim(digits, "-0."))), true
	}
	exact, ok := new(big.Rat).SetString(decimal)
	if !ok || exact.Cmp(big.NewRat(1, 1)) > 0 {
		return 0, false
	}
	exact.Mul(exact, big.NewRat(ScoreScale, 1))
	rest := new(big.Int)
	whole, _ := new(big.Int).DivMod(exact.Num(), exact.Denom(), rest)
	return int(whole.Int64()) + rest.Sign(), true
}

// The values of a search's member rank.
const (
	RankLabels   = "labels"
	RankOutcomes = "outcomes"
)

func (s *WorkflowSearch) decodeRank(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	rank, ok := unquote(raw)
	switch {
	case !ok || rank != RankLabels && rank != RankOutcomes:
		return "must be one of: " + RankLabels + ", " + RankOutcomes
	case rank == RankOutcomes && !s.AsOf.IsZero():
		return "must be " + RankLabels + " with as_of: what is known of outcomes is known now"
	}
	s.ByOutcomes = rank == RankOutcomes
	return ""
}

// decodeAsOf decodes a time as ParseTime reads it.
func (s *WorkflowSearch) decodeAsOf(raw jsontext.Value, now time.Time) string {
	if raw == nil {
		return ""
	}
	text, ok := unquote(raw)
	if !ok || utf8.RuneCountInString(text) > 64 {
		return "must be a time: 24h, 7d, or an RFC 3339 time"
	}
	t, err := ParseTime(text, now)
	switch {
	case err != nil:
		return "is wrong: " + err.Error()
	case t.Before(minTime):
		return "must lie between the years 1970 and 2199"
	case t.Before(now):
		s.AsOf = truncate(t)
	}
	return ""
}
