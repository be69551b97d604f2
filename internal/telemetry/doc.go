// Package telemetry makes the logger and the metrics registry that the rest of the server writes to.
package telemetry
