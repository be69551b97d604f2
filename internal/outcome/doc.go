// Package outcome derives from the log what has worked: the executions of remediations, one row each, and how many of
// them succeeded, by incident type, workflow and action type. It is a projection, see project.Projection, and its reads.
//
// An outcome event is one of category execution, or of type orchestrator.lifecycle.completed, whose event_data names an
// incident_type. The events that name a workflow_execution_id are that execution. Those that name none join the one
// execution of their correlation_id when there is exactly one, and are otherwise an execution of their own. The latest
// event of an execution counts, by event_timestamp, then log_index; it gives the execution its dimensions.
package outcome
