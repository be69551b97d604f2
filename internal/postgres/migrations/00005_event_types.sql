-- +goose Up

-- The history of the catalogue also holds versions of event types.
ALTER TABLE catalog_changes
    DROP CONSTRAINT catalog_changes_kind_check,
    ADD CONSTRAINT catalog_changes_kind_check CHECK (kind IN ('workflow', 'state', 'action_type', 'event_type'));
