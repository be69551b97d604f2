package outcome

// Name is the name of the projection.
const Name = "outcomes"

// version changes with what the tables hold.
const version = 1

// outcomeColumns hold an Outcome; see record.appendValues for what stands in them.
const outcomeColumns = "id, link, flags, at, log_index, started, correlation_id, execution_id, incident_type, workflow_id, " +
	"workflow_version, action_type, status, event_outcome, severity, namespace, cluster, environment, duration_ms, ai_mode"

const outcomeTypes = `(
	id               {text}  NOT NULL PRIMARY KEY,
	link             {text}  NOT NULL,
	flags            bigint  NOT NULL,
	at               bigint  NOT NULL,
	log_index        bigint  NOT NULL,
	started          bigint  NOT NULL,
	correlation_id   {text}  NOT NULL,
	execution_id     {text}  NOT NULL,
	incident_type    {text}  NOT NULL,
	workflow_id      {text}  NOT NULL,
	workflow_version {text}  NOT NULL,
	action_type      {text}  NOT NULL,
	status           {text}  NOT NULL,
	event_outcome    {text}  NOT NULL,
	severity         {text}  NOT NULL,
	namespace        {text}  NOT NULL,
	cluster          {text}  NOT NULL,
	environment      {text}  NOT NULL,
	duration_ms      bigint  NOT NULL,
	ai_mode          bigint  NOT NULL
)`

const (
	// executionsTable holds what counts: one row for each execution.
	executionsTable = "p_outcomes_executions_{g}"
	// shadowsTable holds what may count again: events that joined an execution, and those of an execution that a joined
	// event outranks.
	shadowsTable = "p_outcomes_shadows_{g}"
	// correlationsTable says which executions a correlation names. A correlation without a row names none.
	correlationsTable = "p_outcomes_correlations_{g}"
	// rollupsTable counts executions by the span of time in which they lie and by their dimensions; see levels.
	rollupsTable = "p_outcomes_rollups_{g}"
	// countsTable counts executions by day, by namespace and by severity; see the kinds of count.
	countsTable = "p_outcomes_counts_{g}"
)

// filterColumns are the columns that executions are found by; each has an index that ends with the order of a list.
var filterColumns = []string{"incident_type", "workflow_id", "action_type", "severity", "namespace", "cluster", "environment"}

func schema() []string {
	statements := []string{
		"CREATE TABLE " + executionsTable + outcomeTypes,
		"CREATE INDEX p_outcomes_executions_at_{g} ON " + executionsTable + " (at, log_index)",
		"CREATE INDEX p_outcomes_executions_correlation_{g} ON " + executionsTable + " (correlation_id, at, log_index)",
		"CREATE TABLE " + shadowsTable + outcomeTypes,
		"CREATE INDEX p_outcomes_shadows_latest_{g} ON " + shadowsTable + " (link, at, log_index)",
		"CREATE INDEX p_outcomes_shadows_started_{g} ON " + shadowsTable + " (link, started)",
		"CREATE TABLE " + correlationsTable + ` (
	id           {text} NOT NULL PRIMARY KEY,
	execution_id {text} NOT NULL,
	several      bigint NOT NULL
){keyed}`,
		// The dimensions together may be longer than a key can be: their hash stands for them.
		"CREATE TABLE " + rollupsTable + ` (
	level            bigint NOT NULL,
	bucket           bigint NOT NULL,
	dimensions       bytea  NOT NULL,
	incident_type    {text} NOT NULL,
	workflow_id      {text} NOT NULL,
	workflow_version {text} NOT NULL,
	action_type      {text} NOT NULL,
	total            bigint NOT NULL,
	successful       bigint NOT NULL,
	failed           bigint NOT NULL,
	selected         bigint NOT NULL,
	chained          bigint NOT NULL,
	escalated        bigint NOT NULL,
	PRIMARY KEY (level, bucket, dimensions)
)`,
		"CREATE TABLE " + countsTable + ` (
	kind   bigint NOT NULL,
	value  {text} NOT NULL,
	bucket bigint NOT NULL,
	total  bigint NOT NULL,
	PRIMARY KEY (kind, bucket, value)
){keyed}`,
	}
	for _, column := range filterColumns {
		statements = append(statements,
			"CREATE INDEX p_outcomes_executions_"+column+"_{g} ON "+executionsTable+" ("+column+", at, log_index)")
	}
	for _, column := range rollupDimensions {
		statements = append(statements,
			"CREATE INDEX p_outcomes_rollups_"+column+"_{g} ON "+rollupsTable+" ("+column+", level, bucket)")
	}
	return statements
}

func tables() []string {
	return []string{executionsTable, shadowsTable, correlationsTable, rollupsTable, countsTable}
}
