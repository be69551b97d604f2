-- +goose Up

-- Text is compared byte by byte, so that a prefix filter uses the index and both stores sort alike.
CREATE TABLE events (
    log_index       bigint           NOT NULL,
    event_timestamp timestamptz      NOT NULL,
    event_id        uuid             NOT NULL,
    correlation_id  text COLLATE "C" NOT NULL,
    event_type      text COLLATE "C" NOT NULL,
    event_category  text COLLATE "C" NOT NULL,
    event_outcome   text COLLATE "C" NOT NULL,
    severity        text COLLATE "C" NOT NULL,
    actor_type      text COLLATE "C" NOT NULL,
    actor_id        text COLLATE "C" NOT NULL,
    resource_type   text COLLATE "C" NOT NULL,
    resource_id     text COLLATE "C" NOT NULL,
    namespace       text COLLATE "C",
    cluster_name    text COLLATE "C",
    parent_event_id uuid,
    trace_id        text COLLATE "C",
    salt            bytea            NOT NULL,
    body            text COLLATE "C" NOT NULL,
    -- event_ids makes event_id unique. This key serves the walk by time, and is what logical replication needs to
    -- replay the removals of retention.
    PRIMARY KEY (event_timestamp, event_id)
) PARTITION BY RANGE (event_timestamp);

CREATE INDEX events_by_index ON events (log_index);
CREATE INDEX events_by_correlation ON events (correlation_id, event_timestamp, event_id);
CREATE INDEX events_by_type ON events (event_type, event_timestamp, event_id);

-- A body is compressed and stays in its row while the row fits a page; partitions ask for that from a few hundred bytes on.
-- lz4 costs less than writing the third of a body that it saves, to the log and to the table; a server without it stores a
-- body beyond 2 kB beside the row as it is.
-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE events ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE events ALTER COLUMN body SET STORAGE MAIN;
EXCEPTION WHEN feature_not_supported THEN
    ALTER TABLE events ALTER COLUMN body SET STORAGE EXTERNAL;
END
$$;
-- +goose StatementEnd

-- Kept for ever: what an event_id was, also after its event was removed. Its autovacuum settings and those of
-- ledger_commits suit tables that only grow: pages become all-visible and frozen soon after they are full.
CREATE TABLE event_ids (
    event_id        uuid        PRIMARY KEY,
    log_index       bigint      NOT NULL,
    event_timestamp timestamptz NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 50000,
        autovacuum_freeze_min_age = 0);

-- One row for each commit of the log. The row with the highest first_index is the head.
CREATE TABLE ledger_commits (
    first_index  bigint      PRIMARY KEY,
    next_index   bigint      NOT NULL,
    min_time     timestamptz NOT NULL,
    max_time     timestamptz NOT NULL,
    committed_at timestamptz NOT NULL,
    root         bytea       NOT NULL,
    range        bytea       NOT NULL,
    entries      bytea       NOT NULL,
    CHECK (first_index >= 0 AND next_index > first_index)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 10000,
        autovacuum_freeze_min_age = 0);

-- Hashes do not compress.
ALTER TABLE ledger_commits ALTER COLUMN entries SET STORAGE EXTERNAL;
ALTER TABLE ledger_commits ALTER COLUMN range SET STORAGE EXTERNAL;

CREATE TABLE notifications (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    remediation_id   text COLLATE "C" NOT NULL,
    notification_id  text COLLATE "C" NOT NULL UNIQUE,
    recipient        text COLLATE "C" NOT NULL,
    channel          text COLLATE "C" NOT NULL,
    message_summary  text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL,
    sent_at          timestamptz      NOT NULL,
    delivery_status  text COLLATE "C",
    error_message    text COLLATE "C",
    escalation_level integer          NOT NULL,
    created_at       timestamptz      NOT NULL,
    updated_at       timestamptz      NOT NULL,
    event_id         uuid             NOT NULL
);

CREATE INDEX notifications_by_time ON notifications (sent_at, id);
CREATE INDEX notifications_by_remediation ON notifications (remediation_id, sent_at, id);

CREATE TABLE settings (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea            NOT NULL
);

-- What one commit sends: an array of rows is read faster than an array for each column. A later shape of these rows is
-- a type of its own, so that servers of two versions can write side by side.
CREATE TYPE event_row AS (
    log_index       bigint,
    event_timestamp timestamptz,
    event_id        uuid,
    correlation_id  text,
    event_type      text,
    event_category  text,
    event_outcome   text,
    severity        text,
    actor_type      text,
    actor_id        text,
    resource_type   text,
    resource_id     text,
    namespace       text,
    cluster_name    text,
    parent_event_id uuid,
    trace_id        text,
    salt            bytea,
    body            text
);

CREATE TYPE event_id_row AS (
    event_id        uuid,
    log_index       bigint,
    event_timestamp timestamptz
);

-- Append-only. Only retention and erasure remove events, in a transaction that says so with
-- SET LOCAL datastorage.removal = 'on'; nothing ever changes an event, or touches event_ids and ledger_commits. This
-- guards against mistakes and stray statements; the owner of the tables can drop it, and then the ledger tells.
-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_ARGV[0] = 'removable' AND current_setting('datastorage.removal', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd

-- Partitions get the row trigger of events from it, and their own against TRUNCATE when they are made.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('removable');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON event_ids
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON event_ids
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_commits
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger_commits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
