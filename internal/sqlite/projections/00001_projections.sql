-- +goose Up

-- The generations of the tables of projections; see internal/project.
CREATE TABLE projections (
    name       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    updated_at INTEGER NOT NULL, -- microseconds since 1970
    PRIMARY KEY (name, generation),
    CHECK (state IN ('building', 'live', 'retired'))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX projections_live ON projections (name) WHERE state = 'live';
