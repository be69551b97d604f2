-- +goose Up

-- The generations of the tables of projections; see internal/project. Those tables are not part of this schema: they are
-- made and dropped with their generation. Times are microseconds since 1970.
CREATE TABLE projections (
    name       text COLLATE "C" NOT NULL,
    generation bigint           NOT NULL,
    version    bigint           NOT NULL,
    position   bigint           NOT NULL,
    state      text COLLATE "C" NOT NULL,
    updated_at bigint           NOT NULL,
    PRIMARY KEY (name, generation),
    CHECK (state IN ('building', 'live', 'retired'))
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX projections_live ON projections (name) WHERE state = 'live';
