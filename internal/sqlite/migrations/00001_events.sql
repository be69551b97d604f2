-- +goose Up

-- The small columns stand before the body, so that reading them never follows a large body over its overflow pages.
CREATE TABLE events (
    log_index       INTEGER PRIMARY KEY,
    event_timestamp INTEGER NOT NULL, -- microseconds since 1970
    event_id        BLOB    NOT NULL,
    correlation_id  TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    event_category  TEXT    NOT NULL,
    event_outcome   TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    actor_type      TEXT    NOT NULL,
    actor_id        TEXT    NOT NULL,
    resource_type   TEXT    NOT NULL,
    resource_id     TEXT    NOT NULL,
    namespace       TEXT,
    cluster_name    TEXT,
    parent_event_id BLOB,
    trace_id        TEXT,
    salt            BLOB    NOT NULL,
    body            TEXT    NOT NULL
) STRICT;

CREATE INDEX events_by_time ON events (event_timestamp, event_id);
CREATE INDEX events_by_correlation ON events (correlation_id, event_timestamp, event_id);
CREATE INDEX events_by_type ON events (event_type, event_timestamp, event_id);

CREATE TABLE event_ids (
    event_id        BLOB    PRIMARY KEY,
    log_index       INTEGER NOT NULL,
    event_timestamp INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_commits (
    first_index  INTEGER PRIMARY KEY,
    next_index   INTEGER NOT NULL,
    min_time     INTEGER NOT NULL,
    max_time     INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    root         BLOB    NOT NULL,
    range        BLOB    NOT NULL,
    entries      BLOB    NOT NULL,
    CHECK (next_index > first_index)
) STRICT;

CREATE TABLE notifications (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    remediation_id   TEXT    NOT NULL,
    notification_id  TEXT    NOT NULL UNIQUE,
    recipient        TEXT    NOT NULL,
    channel          TEXT    NOT NULL,
    message_summary  TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    sent_at          INTEGER NOT NULL,
    delivery_status  TEXT,
    error_message    TEXT,
    escalation_level INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    event_id         BLOB    NOT NULL
) STRICT;

CREATE INDEX notifications_by_time ON notifications (sent_at, id);
CREATE INDEX notifications_by_remediation ON notifications (remediation_id, sent_at, id);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER event_ids_no_update BEFORE UPDATE ON event_ids
BEGIN SELECT RAISE(ABORT, 'event_ids are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER event_ids_no_delete BEFORE DELETE ON event_ids
BEGIN SELECT RAISE(ABORT, 'event_ids are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_commits_no_update BEFORE UPDATE ON ledger_commits
BEGIN SELECT RAISE(ABORT, 'ledger_commits are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER ledger_commits_no_delete BEFORE DELETE ON ledger_commits
BEGIN SELECT RAISE(ABORT, 'ledger_commits are append-only'); END;
-- +goose StatementEnd
