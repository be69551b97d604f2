-- +goose Up

-- The history of the workflow catalogue. The catalogue at version n is what its first n changes make of an empty one.
-- The primary key is the compare-and-swap between replicas.
CREATE TABLE catalog_changes (
    version     bigint           PRIMARY KEY,
    changed_at  timestamptz      NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    workflow_id uuid,
    -- What no two changes may share. It holds a zero byte, which text cannot.
    key         bytea            UNIQUE,
    document    text COLLATE "C" NOT NULL,
    CHECK (version > 0),
    CHECK (kind IN ('workflow', 'state', 'action_type'))
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 10000,
        autovacuum_freeze_min_age = 0);

-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE catalog_changes ALTER COLUMN document SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    ALTER TABLE catalog_changes ALTER COLUMN document SET STORAGE EXTERNAL;
END
$$;
-- +goose StatementEnd

-- What one commit sends; see event_row.
CREATE TYPE catalog_change_row AS (
    version     bigint,
    changed_at  timestamptz,
    kind        text,
    workflow_id uuid,
    key         bytea,
    document    text
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON catalog_changes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON catalog_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
