-- +goose Up

-- The history of the catalogue also holds versions of event types. SQLite cannot change a CHECK, so the table is made anew.
CREATE TABLE catalog_changes_new (
    version     INTEGER PRIMARY KEY,
    changed_at  INTEGER NOT NULL, -- microseconds since 1970
    kind        TEXT    NOT NULL,
    workflow_id BLOB,
    key         BLOB    UNIQUE,   -- what no two changes may share
    document    TEXT    NOT NULL,
    CHECK (version > 0),
    CHECK (kind IN ('workflow', 'state', 'action_type', 'event_type'))
) STRICT;

INSERT INTO catalog_changes_new (version, changed_at, kind, workflow_id, key, document)
SELECT version, changed_at, kind, workflow_id, key, document FROM catalog_changes ORDER BY version;

DROP TABLE catalog_changes;
ALTER TABLE catalog_changes_new RENAME TO catalog_changes;

-- +goose StatementBegin
CREATE TRIGGER catalog_changes_no_update BEFORE UPDATE ON catalog_changes
BEGIN SELECT RAISE(ABORT, 'catalog_changes are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER catalog_changes_no_delete BEFORE DELETE ON catalog_changes
BEGIN SELECT RAISE(ABORT, 'catalog_changes are append-only'); END;
-- +goose StatementEnd
