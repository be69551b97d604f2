-- +goose Up

-- The dead-letter queues on disk in which acknowledged events wait, each written by the server that it belongs to. One that
-- is empty has no row.
CREATE TABLE dead_letter_queues (
    replica          BLOB    PRIMARY KEY,
    host             TEXT    NOT NULL,
    data_dir         TEXT    NOT NULL,
    depth            INTEGER NOT NULL,
    bytes            INTEGER NOT NULL,
    oldest_queued_at INTEGER,
    quarantined      INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
