package sqlite

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/google/uuid"

	"github.com/datastorage-io/datastorage"
	"github.com/datastorage-io/datastorage/internal/sqlitedb"
	"github.com/datastorage-io/datastorage/ledger"
)

// auditChunk is how long one statement of an audit reads. A read transaction keeps the write-ahead log from being
// emptied, so none lasts much longer.
const auditChunk = 500 * time.Millisecond

// AuditSource reads a database for ledger.Audit, with statements of its own. It never writes. One goroutine at a time
// uses it.
type AuditSource struct {
	conn conn
	dsn  string
	dir  string
	now  func() time.Time
	null string // stands for NULL in joined texts
}

// OpenAudit opens the database in a directory for reading; a server may run on it. It creates and changes nothing. The
// error says so when there is no database, or when its schema is not the one that this program knows.
func OpenAudit(ctx context.Context, dir string) (*AuditSource, error) {
	file, err := filepath.Abs(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no database in %s (%s does not exist)", dir, FileName)
	} else if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	a := &AuditSource{dir: dir, now: time.Now, null: rand.Text()}
	a.dsn = sqlitedb.DSN(file, auditCache, "query_only(1)", "temp_store(MEMORY)", auditMap) + "&mode=" + auditMode(file)
	a.conn = conn{sqlitedb.NewConn(a.dsn)}
	if err := a.conn.Connect(); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := a.checkSchema(ctx, dir); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// auditMode returns how to open a database so that nothing changes. A connection that cannot write leaves SQLite's files
// beside the database behind where there were none; one that could, and does not, removes them at its end.
func auditMode(file string) string {
	if _, err := os.Stat(file + "-wal"); errors.Is(err, fs.ErrNotExist) {
		return "rw"
	}
	return "ro"
}

const (
	// auditCache is the page cache of an audit, in KiB. It reads every page once.
	auditCache = 1 << 10
	// auditMap has SQLite read the file's pages from mapped memory, as far as it can: a system call for each page is a fifth
	// of an audit's time.
	auditMap = "mmap_size(2147418112)"
)

// Name says where the database is.
func (a *AuditSource) Name() string { return "SQLite in " + a.dir }

// Close ends the connection.
func (a *AuditSource) Close() error { return a.conn.Close() }

func (a *AuditSource) checkSchema(ctx context.Context, dir string) error {
	tables := int64(0)
	err := a.one(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'`, &tables)
	if err != nil {
		return fmt.Errorf("read the database in %s: %w", dir, err)
	}
	if tables == 0 {
		return fmt.Errorf("the database in %s holds no events and no schema: it is not one of datastorage, or was never used", dir)
	}
	current, known := int64(0), int64(0)
	if err := a.one(ctx, `SELECT coalesce(max(version_id), 0) FROM schema_version WHERE is_applied`, &current); err != nil {
		return fmt.Errorf("read the schema version of the database in %s: %w", dir, err)
	}
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, step := range steps {
		number, _, _ := strings.Cut(path.Base(step), "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return fmt.Errorf("read the migrations: %w", err)
		}
		known = max(known, n)
	}
	switch {
	case current > known:
		return fmt.Errorf("the database in %s has schema version %d, but this program knows only up to %d: use a newer datastorage", dir, current, known)
	case current < known:
		return fmt.Errorf("the database in %s has schema version %d, and this program reads version %d: bring it up to date with \"datastorage migrate\"", dir, current, known)
	}
	return nil
}

// one reads one whole number.
func (a *AuditSource) one(ctx context.Context, query string, n *int64) error {
	return a.query(ctx, query, nil, func(row []driver.Value) error { *n = whole(row[0]); return nil })
}

// query runs one statement. The driver watches no context, which would cost as much as reading a row.
func (a *AuditSource) query(ctx context.Context, text string, args []any, each func(row []driver.Value) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.conn.Connect(); err != nil {
		return err
	}
	// Mapped memory that cannot be read is a fault of the processor, not an error of a system call.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if _, ok := fault.(interface{ Addr() uintptr }); !ok {
			panic(fault)
		}
		// Nobody knows what state the connection is in, so it is left behind, and the next query opens another.
		a.conn = conn{sqlitedb.NewConn(a.dsn)}
		err = errors.New("the database file cannot be read: it was cut short, or its disk has failed")
	}()
	return a.conn.Query(context.WithoutCancel(ctx), text, args, each)
}

// Size implements ledger.Source.
func (a *AuditSource) Size(ctx context.Context) (size int64, err error) {
	err = a.one(ctx, `SELECT coalesce((SELECT next_index FROM ledger_commits ORDER BY first_index DESC LIMIT 1), 0)`, &size)
	return size, err
}

// Commits implements ledger.Source.
func (a *AuditSource) Commits(ctx context.Context, from int64, limit int) (commits []ledger.CommitRow, err error) {
	const query = `SELECT first_index, next_index, entries, range, root, min_time, max_time, committed_at ` +
		`FROM ledger_commits WHERE first_index >= ? ORDER BY first_index LIMIT ?`
	err = a.query(ctx, query, []any{from, int64(limit)}, func(row []driver.Value) error {
		commits = append(commits, ledger.CommitRow{
			FirstIndex: whole(row[0]), NextIndex: whole(row[1]), Entries: octets(row[2]), Range: octets(row[3]),
			Root: octets(row[4]), MinTime: whole(row[5]), MaxTime: whole(row[6]), CommittedAt: whole(row[7]),
		})
		return nil
	})
	return commits, err
}

// errChunkEnd ends a statement that has read long enough.
var errChunkEnd = errors.New("end of the chunk")

// chunk decides when a statement has read long enough.
type chunk struct {
	now   func() time.Time
	until time.Time
	rows  int
}

func (a *AuditSource) newChunk() chunk { return chunk{now: a.now, until: a.now().Add(auditChunk)} }

// over is called with every row. It looks at the clock now and then.
func (c *chunk) over() bool {
	c.rows++
	return c.rows%64 == 0 && !c.now().Before(c.until)
}

// A column costs more to fetch than to hash, so the texts are fetched as one, with a separator that hardly any text
// holds; where one does, the row is read again column by column. So is a row that is not filed as it should be, whose texts
// come as NULL. NULL itself is a secret word, so that no stored value can pass for it.
const (
	auditEvents = `SELECT e.log_index, event_timestamp, event_id, parent_event_id, salt, body, ` +
		`CASE WHEN e.correlation_first = c.first_index AND c.first_index <= e.log_index THEN concat_ws(char(31), ` +
		`actor_id, actor_type, coalesce(cluster_name, ?3), e.correlation_id, event_category, event_outcome, event_type, ` +
		`coalesce(namespace, ?3), resource_id, resource_type, severity, coalesce(trace_id, ?3)) END ` +
		`FROM events AS e LEFT JOIN correlations AS c ON c.correlation_id = e.correlation_id ` +
		`WHERE e.log_index >= ?1 AND e.log_index < ?2 ORDER BY e.log_index`
	separator = '\x1f'
)

// auditEvent reads a row column by column.
var auditEvent = `SELECT e.log_index, event_timestamp, event_id, parent_event_id, salt, body, ` +
	`actor_id, actor_type, cluster_name, e.correlation_id, event_category, event_outcome, event_type, ` +
	`namespace, resource_id, resource_type, severity, trace_id, ` + auditFiling +
	` FROM events AS e LEFT JOIN correlations AS c ON c.correlation_id = e.correlation_id WHERE e.log_index = ?`

// errAmbiguous ends a statement before a row that has to be read column by column.
var errAmbiguous = errors.New("the texts of the row cannot be told apart")

// Events implements ledger.Source.
func (a *AuditSource) Events(ctx context.Context, from, to int64, yield func(*ledger.EventRow) error) error {
	var r ledger.EventRow
	for {
		chunk := a.newChunk()
		err := a.query(ctx, auditEvents, []any{from, to, a.null}, func(row []driver.Value) error {
			take(&r, row)
			from = r.LogIndex
			if !a.split(octets(row[6]), &r.Texts) {
				return errAmbiguous
			}
			if err := yield(&r); err != nil {
				return err
			}
			if from++; chunk.over() {
				return errChunkEnd
			}
			return nil
		})
		if errors.Is(err, errAmbiguous) {
			err = a.query(ctx, auditEvent, []any{from}, func(row []driver.Value) error {
				take(&r, row)
				for c := range r.Texts {
					r.Texts[c] = octets(row[6+c])
				}
				r.Filed = ledger.Filing(whole(row[6+ledger.Columns]))
				return yield(&r)
			})
			if from++; err == nil {
				continue
			}
		}
		if !errors.Is(err, errChunkEnd) {
			return err
		}
	}
}

// take fills in what both statements return first.
func take(r *ledger.EventRow, row []driver.Value) {
	r.LogIndex, r.Time = whole(row[0]), whole(row[1])
	r.ID, r.ParentID, r.Salt, r.Body = octets(row[2]), octets(row[3]), octets(row[4]), octets(row[5])
	r.Filed = ledger.Found
}

// split cuts the joined texts apart. It reports whether there are as many as there must be.
func (a *AuditSource) split(joined []byte, texts *[ledger.Columns][]byte) bool {
	for c := range texts {
		end := bytes.IndexByte(joined, separator)
		if last := c == len(texts)-1; last != (end < 0) {
			return false
		} else if last {
			end = len(joined)
		}
		texts[c] = joined[:end:end]
		if end == len(a.null) && string(texts[c]) == a.null {
			texts[c] = nil
		}
		joined = joined[min(end+1, len(joined)):]
	}
	return true
}

// Changes implements ledger.Source.
func (a *AuditSource) Changes(ctx context.Context, after int64, yield func(*ledger.ChangeRow) error) error {
	const query = `SELECT version, changed_at, kind, workflow_id, document FROM catalog_changes WHERE version > ? ORDER BY version`
	var r ledger.ChangeRow
	for {
		chunk := a.newChunk()
		err := a.query(ctx, query, []any{after}, func(row []driver.Value) error {
			r.Version, r.Time, r.Kind, r.WorkflowID, r.Document = whole(row[0]), whole(row[1]), octets(row[2]), octets(row[3]), octets(row[4])
			after = r.Version
			if err := yield(&r); err != nil {
				return err
			}
			if chunk.over() {
				return errChunkEnd
			}
			return nil
		})
		if !errors.Is(err, errChunkEnd) {
			return err
		}
	}
}

// EventIDs implements ledger.Source.
func (a *AuditSource) EventIDs(ctx context.Context, yield func(*ledger.EventIDRow) error) error {
	const query = `SELECT event_id, log_index, event_timestamp FROM event_ids WHERE event_id > ? ORDER BY event_id`
	var r ledger.EventIDRow
	// Every value is greater than a number, an empty one too.
	after := any(int64(math.MinInt64))
	for {
		chunk := a.newChunk()
		err := a.query(ctx, query, []any{after}, func(row []driver.Value) error {
			r.ID, r.LogIndex, r.Time = octets(row[0]), whole(row[1]), whole(row[2])
			if err := yield(&r); err != nil {
				return err
			}
			if chunk.over() {
				after = row[0]
				return errChunkEnd
			}
			return nil
		})
		if !errors.Is(err, errChunkEnd) {
			return err
		}
	}
}

// Notifications implements ledger.Source.
func (a *AuditSource) Notifications(ctx context.Context, yield func(*ledger.NotificationRow) error) error {
	const query = `SELECT n.id, n.remediation_id, n.notification_id, n.recipient, n.channel, n.message_summary, n.status, ` +
		`n.sent_at, n.delivery_status, n.error_message, n.escalation_level, n.event_id, i.log_index, e.body ` +
		`FROM notifications AS n LEFT JOIN event_ids AS i ON i.event_id = n.event_id ` +
		`LEFT JOIN events AS e ON e.log_index = i.log_index WHERE n.id > ? ORDER BY n.id`
	after := int64(math.MinInt64)
	for {
		chunk := a.newChunk()
		err := a.query(ctx, query, []any{after}, func(row []driver.Value) error {
			r := ledger.NotificationRow{
				Notification: datastorage.Notification{
					ID: whole(row[0]), RemediationID: string(octets(row[1])), NotificationID: string(octets(row[2])),
					Recipient: string(octets(row[3])), Channel: string(octets(row[4])), MessageSummary: string(octets(row[5])),
					Status: string(octets(row[6])), SentAt: time.UnixMicro(whole(row[7])), DeliveryStatus: string(octets(row[8])),
					ErrorMessage: string(octets(row[9])), EscalationLevel: int(whole(row[10])),
				},
				Known: row[12] != nil, LogIndex: whole(row[12]), Body: octets(row[13]),
			}
			if id := octets(row[11]); len(id) == len(uuid.UUID{}) {
				r.EventID = uuid.UUID(id)
			}
			if err := yield(&r); err != nil {
				return err
			}
			if after = r.ID; chunk.over() {
				return errChunkEnd
			}
			return nil
		})
		if !errors.Is(err, errChunkEnd) {
			return err
		}
	}
}

// The schema's types hold for every row that SQLite has written; an edited file may hold anything, so these take what
// comes.

// whole returns an INTEGER. Anything else is the least number, which is no log_index and no time.
func whole(v driver.Value) int64 {
	if n, ok := v.(int64); ok {
		return n
	}
	return math.MinInt64
}

// empty is a value without bytes, which NULL is not.
var empty = []byte{}

// octets returns the bytes of a TEXT or BLOB without copying them; nil for NULL. They must not be changed.
func octets(v driver.Value) []byte {
	switch v := v.(type) {
	case string:
		if v == "" {
			return empty
		}
		return unsafe.Slice(unsafe.StringData(v), len(v))
	case []byte:
		if v == nil {
			return empty
		}
		return v
	case nil:
		return nil
	default:
		return fmt.Append(nil, v)
	}
}
