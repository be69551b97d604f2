// Package remediation knows what audit events say of a remediation: its signal, its target, the workflow that was chosen,
// how it ended and whether it helped. What is known, and which events say it, is a table, facts.yaml. It keeps one row for
// each remediation as a projection of the log and answers from it what was tried on an object before.
package remediation
