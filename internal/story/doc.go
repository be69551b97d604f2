// Package story tells what happened in one remediation, from its events as they are stored: a timeline with a sentence for
// each event, the original RemediationRequest, and how effective it was. It keeps nothing: what was acknowledged before a
// question was asked is in the answer.
package story
