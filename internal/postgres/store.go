package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config is what a store needs. All fields are required but Logger and Migrate.
type Config struct {
	// URL is the connection string, postgres://user:password@host:port/database.
	URL string
	// MaxQueryConns is the number of connections that serve queries, at least 1. Writing has maxIngestConns of its own.
	MaxQueryConns int
	// QueryTimeout is the longest a query may run.
	QueryTimeout time.Duration
	// Migrate brings the schema up to date first; otherwise a schema that is not is an error.
	Migrate bool
	// Logger takes warnings; nil is slog.Default().
	Logger *slog.Logger
}

// Store is a PostgreSQL database. Its methods may be called concurrently. Errors are those of ingest.Store and
// httpapi.Reader.
type Store struct {
	// ingest serves commits and the lookups they need, so that slow queries never keep a commit waiting.
	ingest  *pgxpool.Pool
	queries *pgxpool.Pool
	// followers serves those who follow the log; it connects with the first use.
	followers *pgxpool.Pool
	config    *pgx.ConnConfig

	timeout    time.Duration
	log        *slog.Logger
	durability Durability
	months     months
	// correlations is the generation of the projection of correlations that bounds queries; 0 when it is not known.
	correlations atomic.Int64
	stop         context.CancelFunc
	maintained   chan struct{} // closed when the maintenance of partitions has ended
}

// Open connects to the database, checks that it can be used, and keeps partitions ahead of the clock until Close. The
// errors say what to do and never hold the password.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.MaxQueryConns < 1 || c.QueryTimeout <= 0 {
		return nil, errors.New("a store needs at least one connection for queries and a time-out")
	}
	config, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	server, err := inspect(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := server.check(); err != nil {
		return nil, err
	}
	if c.Migrate && server.schema < latestVersion() {
		if err := migrate(ctx, config); err != nil {
			return nil, err
		}
	} else if err := server.checkMigrated(); err != nil {
		return nil, err
	}
	return open(ctx, c, config, server)
}

func open(ctx context.Context, c Config, config *pgx.ConnConfig, server *server) (*Store, error) {
	s := &Store{config: config, timeout: c.QueryTimeout, log: c.Logger, durability: server.durability, maintained: make(chan struct{})}
	if s.log == nil {
		s.log = slog.Default()
	}
	if warning := s.durability.Warning(); warning != "" {
		s.log.Warn(warning)
	}
	var err error
	if s.ingest, err = newIngestPool(ctx, config, server); err != nil {
		return nil, startError(config, err)
	}
	if s.queries, err = newQueryPool(ctx, config, c.MaxQueryConns, c.QueryTimeout); err != nil {
		s.ingest.Close()
		return nil, startError(config, err)
	}
	if s.followers, err = newFollowPool(config); err != nil {
		s.ingest.Close()
		s.queries.Close()
		return nil, err
	}
	err = s.loadMonths(ctx)
	if err == nil {
		err = s.createAhead(ctx, time.Now())
	}
	if err != nil {
		s.ingest.Close()
		s.queries.Close()
		s.followers.Close()
		return nil, fmt.Errorf("prepare the partitions of events: %w", err)
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	go s.maintain(ctx)
	return s, nil
}

// closeTimeout is how long Close waits for what is under way.
const closeTimeout = 5 * time.Second

// Close ends all connections. Reads and commits that are under way finish first, unless the server does not answer.
func (s *Store) Close() error {
	s.stop()
	<-s.maintained
	closed := make(chan struct{})
	go func() {
		s.queries.Close()
		s.followers.Close()
		s.ingest.Close()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-time.After(closeTimeout):
		return fmt.Errorf("connections to PostgreSQL are still busy after %s", closeTimeout)
	}
}

// Ping reports whether the store answers; the error has CodeUnavailable.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Head(ctx)
	return err
}

// Name says where the database is, without user or password.
func (s *Store) Name() string {
	c := s.ingest.Config().ConnConfig
	return fmt.Sprintf("PostgreSQL, database %s at %s:%d", c.Database, c.Host, c.Port)
}

// Durability says which settings of the server can lose acknowledged events in a crash.
func (s *Store) Durability() Durability { return s.durability }

// Stats returns the state of both pools.
func (s *Store) Stats() Stats {
	return Stats{Ingest: poolStats(s.ingest.Stat()), Queries: poolStats(s.queries.Stat())}
}

// Stats are the states of the two pools of a store.
type Stats struct{ Ingest, Queries PoolStats }

// PoolStats is the state of one pool of connections.
type PoolStats struct {
	Max, Open, InUse, Idle int
	// Waits and WaitDuration count, since the start, the callers that had to wait for a connection and their waiting.
	Waits        int64
	WaitDuration time.Duration
}

func poolStats(s *pgxpool.Stat) PoolStats {
	return PoolStats{
		Max:          int(s.MaxConns()),
		Open:         int(s.TotalConns()),
		InUse:        int(s.AcquiredConns()),
		Idle:         int(s.IdleConns()),
		Waits:        s.EmptyAcquireCount(),
		WaitDuration: s.EmptyAcquireWaitTime(),
	}
}
