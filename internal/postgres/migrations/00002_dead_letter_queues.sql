-- +goose Up

-- The dead-letter queues on disk in which acknowledged events wait, each written by the server that it belongs to. One that
-- is empty has no row.
CREATE TABLE dead_letter_queues (
    replica          uuid             PRIMARY KEY,
    host             text COLLATE "C" NOT NULL,
    data_dir         text COLLATE "C" NOT NULL,
    depth            bigint           NOT NULL,
    bytes            bigint           NOT NULL,
    oldest_queued_at timestamptz,
    quarantined      bigint           NOT NULL,
    updated_at       timestamptz      NOT NULL
);
