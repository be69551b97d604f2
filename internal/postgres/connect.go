package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// maxIngestConns is one for the commit and the others for the lookups before it, for partitions, and for commits
	// that a server does not answer.
	maxIngestConns = 4
	// connectTimeout bounds an attempt to connect when the URL does not.
	connectTimeout = 5 * time.Second
	// userTimeout is how long sent data may stay unacknowledged before a connection counts as lost.
	userTimeout = 10 * time.Second
)

// ingestSettings are set once in each session that writes. Whatever a frozen or lost client holds, it holds for
// seconds: its transaction ends when it is idle, its connection when the network is silent.
const ingestSettings = `
	SET statement_timeout = '5s';
	SET lock_timeout = '2s';
	SET idle_in_transaction_session_timeout = '3s';
	SET default_transaction_isolation = 'read committed';
	SET plan_cache_mode = force_generic_plan;
	SELECT set_config('synchronous_commit', 'on', false)
	 WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
` + commonSettings

// querySettings are set once in each session that reads. Plans are generic, since planning over many partitions costs
// more than most lookups; a query whose plan depends on its values says so.
const querySettings = `
	SET default_transaction_read_only = on;
	SET default_transaction_isolation = 'read committed';
	SET idle_in_transaction_session_timeout = '10s';
	SET plan_cache_mode = force_generic_plan;
` + commonSettings

// A generic plan that is made while a table is empty would read all of it, and go on to when it has grown, until the next
// ANALYZE. Every lookup has an index, so such plans are kept out.
const commonSettings = `
	SET jit = off;
	SET enable_seqscan = off;
	SET enable_bitmapscan = off;
	SET tcp_keepalives_idle = 5;
	SET tcp_keepalives_interval = 2;
	SET tcp_keepalives_count = 3;
	SET tcp_user_timeout = '10s';
`

// transactionTimeout ends a transaction whose client stopped in the middle of sending it.
const transactionTimeout = `SET transaction_timeout = '10s';`

// parseURL reads a connection string. The error never quotes it.
func parseURL(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("database.url is not a connection string of PostgreSQL; it has the form " +
			"postgres://user:password@host:port/database, with / @ : # % in a password written as %2F %40 %3A %23 %25")
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "datastorage"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control:         setUserTimeout,
	}
	config.DialFunc = dialer.DialContext
	return config, nil
}

func newIngestPool(ctx context.Context, config *pgx.ConnConfig, server *server) (*pgxpool.Pool, error) {
	settings := ingestSettings
	if server.version >= transactionTimeoutVersion {
		settings += transactionTimeout
	}
	pool, err := poolConfig(config, "ingest", maxIngestConns)
	if err != nil {
		return nil, err
	}
	// A connection that fails in the middle of a statement has pgx cancel the statement over a second connection. A
	// commit that waits for a synchronous replica would then become visible without it, so there is no second connection.
	pool.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		refuseSecondDial(c)
		return nil
	}
	pool.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.PgConn().Exec(ctx, settings).ReadAll(); err != nil {
			return err
		}
		return prepareIngest(ctx, conn)
	}
	return startPool(ctx, pool)
}

// refuseSecondDial lets the configuration dial until it is connected, and never again.
func refuseSecondDial(c *pgx.ConnConfig) {
	var connected atomic.Bool
	dial := c.DialFunc
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errNoCancel
		}
		return dial(ctx, network, address)
	}
	c.AfterConnect = func(context.Context, *pgconn.PgConn) error {
		connected.Store(true)
		return nil
	}
}

var errNoCancel = errors.New("a connection that commits is never cancelled")

func newQueryPool(ctx context.Context, config *pgx.ConnConfig, conns int, timeout time.Duration) (*pgxpool.Pool, error) {
	pool, err := poolConfig(config, "queries", conns)
	if err != nil {
		return nil, err
	}
	settings := querySettings + fmt.Sprintf("SET statement_timeout = %d;", max(1, timeout.Milliseconds()))
	pool.AfterConnect = runSettings(settings)
	return startPool(ctx, pool)
}

// runSettings returns what a pool does with a new connection.
func runSettings(settings string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, settings).ReadAll()
		return err
	}
}

// followConns is the number of connections for what follows the log.
const followConns = 2

// followTimeout bounds one statement of a follower: it reads a few thousand events by their index.
const followTimeout = `SET statement_timeout = '60s';`

// newFollowPool returns the pool of followers, which connects with its first use.
func newFollowPool(config *pgx.ConnConfig) (*pgxpool.Pool, error) {
	pool, err := poolConfig(config, "follow", followConns)
	if err != nil {
		return nil, err
	}
	pool.MinIdleConns = 0
	pool.AfterConnect = runSettings(querySettings + followTimeout)
	return pgxpool.NewWithConfig(context.Background(), pool)
}

// poolConfig returns the configuration of a pool; its sessions show their purpose in pg_stat_activity.
func poolConfig(config *pgx.ConnConfig, purpose string, conns int) (*pgxpool.Config, error) {
	pool, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, err
	}
	pool.ConnConfig = config.Copy()
	pool.ConnConfig.RuntimeParams["application_name"] += " " + purpose
	pool.MaxConns = int32(conns)
	pool.MinIdleConns = 1
	pool.PingTimeout = time.Second
	return pool, nil
}

// startPool opens a pool and its first connection.
func startPool(ctx context.Context, config *pgxpool.Config) (*pgxpool.Pool, error) {
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}
