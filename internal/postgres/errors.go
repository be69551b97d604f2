package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/ledger"
)

// SQLSTATEs that are told apart; see the appendix on error codes of PostgreSQL's manual.
const (
	notNullViolation    = "23502"
	uniqueViolation     = "23505"
	checkViolation      = "23514"
	readOnlyTransaction = "25006"
	invalidAuth         = "28000"
	invalidPassword     = "28P01"
	noSuchDatabase      = "3D000"
	diskFull            = "53100"
	tooManyConnections  = "53300"
	lockNotAvailable    = "55P03"
	queryCanceled       = "57014"
	cannotConnectNow    = "57P03"
)

// classes of SQLSTATEs that blame what was sent: data exception, integrity constraint, program limit.
var contentClasses = map[string]bool{"22": true, "23": true, "54": true}

// refusal turns an error that the server answered to a commit with into one of ingest.Store. Nothing was stored.
func (s *Store) refusal(e *pgconn.PgError) error {
	switch {
	case e.Code == uniqueViolation && e.TableName == "ledger_commits",
		// The commit before this one is not there: see insertCommit.
		e.Code == notNullViolation && e.TableName == "ledger_commits":
		return ledger.ErrHeadMoved
	case e.Code == uniqueViolation && e.TableName == "event_ids":
		return ledger.ErrDuplicateID
	case e.Code == uniqueViolation && e.TableName == "catalog_changes",
		// The change before the first is not there: see insertChanges.
		e.Code == notNullViolation && e.TableName == "catalog_changes" && e.ColumnName == "version":
		return datastorage.ErrCatalogMoved
	case e.Code == checkViolation && e.TableName == "events":
		// A partition that was known has gone, for example because its month expired.
		s.months.forget()
		return datastorage.Unavailable(e, "the database lacks the partition of a month; it is created with the next try")
	case contentClasses[e.Code[:min(2, len(e.Code))]]:
		return fmt.Errorf("the database refuses the content of the commit: %w", e)
	}
	return datastorage.Unavailable(e, "%s", unavailableDetail(e))
}

func unavailableDetail(e *pgconn.PgError) string {
	switch e.Code {
	case readOnlyTransaction:
		return "the database is read-only"
	case diskFull:
		return "the disk of the database is full"
	case lockNotAvailable:
		return "the database is busy with another transaction"
	}
	return "the database cannot be written"
}

// writeError is what a caller gets when a write that is no commit failed, or a commit before anything was sent.
func writeError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*datastorage.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return datastorage.Unavailable(err, "%s", unavailableDetail(e))
	}
	return datastorage.Unavailable(err, "the database cannot be written")
}

// readError is what a caller gets for the failure of a read.
func (s *Store) readError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*datastorage.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == queryCanceled || errors.Is(err, context.DeadlineExceeded) {
		return datastorage.Unavailable(err, "the query took longer than %s; narrow it", s.timeout)
	}
	return datastorage.Unavailable(err, "the database cannot be read")
}

// startError says what to do when a database cannot be used at all. It never holds the password.
func startError(config *pgx.ConnConfig, err error) error {
	address := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return fmt.Errorf("PostgreSQL at %s cannot be reached: is it running, and is the database URL right? (%s)",
			address, plainCause(err))
	}
	switch e.Code {
	case invalidPassword, invalidAuth:
		return fmt.Errorf("PostgreSQL at %s refuses user %q: check user and password of the database URL (%s)",
			address, config.User, e.Message)
	case noSuchDatabase:
		return fmt.Errorf("PostgreSQL at %s has no database %q: create it with createdb, or correct the database URL",
			address, config.Database)
	case tooManyConnections:
		return fmt.Errorf("PostgreSQL at %s has no connection left: raise its max_connections or lower "+
			"database.max_query_connections", address)
	case cannotConnectNow:
		return fmt.Errorf("PostgreSQL at %s does not take connections now, try again: %s", address, e.Message)
	}
	return fmt.Errorf("PostgreSQL at %s cannot be used: %s (SQLSTATE %s)", address, e.Message, e.Code)
}

// plainCause returns the text of the innermost errors: the outer ones repeat host and user.
func plainCause(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
