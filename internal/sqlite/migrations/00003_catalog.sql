-- +goose Up

-- The history of the workflow catalogue. The catalogue at version n is what its first n changes make of an empty one.
-- The primary key is the compare-and-swap between processes.
CREATE TABLE catalog_changes (
    version     INTEGER PRIMARY KEY,
    changed_at  INTEGER NOT NULL, -- microseconds since 1970
    kind        TEXT    NOT NULL,
    workflow_id BLOB,
    key         BLOB    UNIQUE,   -- what no two changes may share
    document    TEXT    NOT NULL,
    CHECK (version > 0),
    CHECK (kind IN ('workflow', 'state', 'action_type'))
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER catalog_changes_no_update BEFORE UPDATE ON catalog_changes
BEGIN SELECT RAISE(ABORT, 'catalog_changes are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER catalog_changes_no_delete BEFORE DELETE ON catalog_changes
BEGIN SELECT RAISE(ABORT, 'catalog_changes are append-only'); END;
-- +goose StatementEnd
