// Package postgres stores events, ledger and settings in PostgreSQL 15 or newer.
package postgres
