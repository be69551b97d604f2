-- +goose Up

-- Events are indexed by correlation through the log_index at which the correlation begins, not by its text. A text is as
-- good as random: each event of a commit would change a page of the index of its own, and a commit writes whole pages.
-- Correlations that are active at a time began at about the same time, so what they add to the index lies together near
-- its end. Only the first event of a correlation changes the table of the texts.
CREATE TABLE correlations (
    correlation_id TEXT    PRIMARY KEY,
    first_index    INTEGER NOT NULL -- log_index of the first event stored with the correlation_id
) STRICT, WITHOUT ROWID;

INSERT INTO correlations (correlation_id, first_index)
SELECT correlation_id, min(log_index) FROM events INDEXED BY events_by_correlation GROUP BY correlation_id ORDER BY correlation_id;

-- The new column stands before the body, where SQLite adds none, so the table is made anew. Its indexes are there before its
-- rows: the rows come in an order in which the indexes grow in few places, and nothing is sorted in a temporary file, for
-- which there may be no place.
DROP INDEX events_by_time;
DROP INDEX events_by_correlation;
DROP INDEX events_by_type;

CREATE TABLE events_new (
    log_index         INTEGER PRIMARY KEY,
    event_timestamp   INTEGER NOT NULL, -- microseconds since 1970
    event_id          BLOB    NOT NULL,
    correlation_id    TEXT    NOT NULL,
    correlation_first INTEGER NOT NULL, -- first_index of the correlation
    event_type        TEXT    NOT NULL,
    event_category    TEXT    NOT NULL,
    event_outcome     TEXT    NOT NULL,
    severity          TEXT    NOT NULL,
    actor_type        TEXT    NOT NULL,
    actor_id          TEXT    NOT NULL,
    resource_type     TEXT    NOT NULL,
    resource_id       TEXT    NOT NULL,
    namespace         TEXT,
    cluster_name      TEXT,
    parent_event_id   BLOB,
    trace_id          TEXT,
    salt              BLOB    NOT NULL,
    body              TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_time ON events_new (event_timestamp, event_id);
CREATE INDEX events_by_correlation ON events_new (correlation_first, event_timestamp, event_id);
CREATE INDEX events_by_type ON events_new (event_type, event_timestamp, event_id);

INSERT INTO events_new (log_index, event_timestamp, event_id, correlation_id, correlation_first, event_type, event_category,
    event_outcome, severity, actor_type, actor_id, resource_type, resource_id, namespace, cluster_name, parent_event_id,
    trace_id, salt, body)
SELECT log_index, event_timestamp, event_id, correlation_id,
    (SELECT first_index FROM correlations AS c WHERE c.correlation_id = e.correlation_id), event_type, event_category,
    event_outcome, severity, actor_type, actor_id, resource_type, resource_id, namespace, cluster_name, parent_event_id,
    trace_id, salt, body
FROM events AS e ORDER BY log_index;

DROP TABLE events;
ALTER TABLE events_new RENAME TO events;

-- +goose StatementBegin
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER correlations_no_update BEFORE UPDATE ON correlations
BEGIN SELECT RAISE(ABORT, 'correlations are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER correlations_no_delete BEFORE DELETE ON correlations
BEGIN SELECT RAISE(ABORT, 'correlations are append-only'); END;
-- +goose StatementEnd
