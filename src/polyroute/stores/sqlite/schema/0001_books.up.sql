-- Rows are final: written once, by a settlement, and never changed. What is still open is in the journals.
-- OR rather than IN, which SQLite would answer with a table built anew for each row: 2 us of 6 per insert.
-- Money in nano-dollars, times in Unix microseconds (UTC).
CREATE TABLE requests (
    id                TEXT    NOT NULL PRIMARY KEY,
    client_request_id TEXT,
    opened_us         INTEGER NOT NULL,
    settled_us        INTEGER NOT NULL,
    tenant            TEXT    NOT NULL,
    team              TEXT    NOT NULL,
    user              TEXT    NOT NULL,
    key_id            TEXT,
    route             TEXT    NOT NULL,
    policy            TEXT    NOT NULL,
    state             TEXT    NOT NULL CHECK (state = 'settled' OR state = 'failed' OR state = 'cancelled' OR state = 'recovered'),
    reserved_nanos    INTEGER,
    cost_nanos        INTEGER NOT NULL,
    cost_complete     INTEGER NOT NULL CHECK (cost_complete IN (0, 1)),
    baseline          TEXT,
    baseline_nanos    INTEGER,
    saved_nanos       INTEGER,
    model             TEXT,
    provider          TEXT,
    cache             TEXT    NOT NULL,
    total_ms          REAL    NOT NULL,
    overhead_ms       REAL    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_by_time ON requests (opened_us);

CREATE TABLE attempts (
    request_id            TEXT    NOT NULL,
    id                    TEXT    NOT NULL,
    number                INTEGER NOT NULL,
    deployment            TEXT    NOT NULL,
    provider              TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    upstream_model        TEXT    NOT NULL,
    answered_model        TEXT,
    status                TEXT    NOT NULL CHECK (status = 'succeeded' OR status = 'rejected' OR status = 'failed' OR status = 'cancelled' OR status = 'unknown'),
    error                 TEXT,
    http_status           INTEGER,
    cost_nanos            INTEGER,
    input_tokens          INTEGER,
    cached_input_tokens   INTEGER,
    cache_write_tokens    INTEGER,
    cache_write_1h_tokens INTEGER,
    output_tokens         INTEGER,
    reasoning_tokens      INTEGER,
    input_audio_tokens    INTEGER,
    output_audio_tokens   INTEGER,
    estimated             INTEGER,
    started_ms            REAL    NOT NULL,
    first_token_ms        REAL,
    duration_ms           REAL    NOT NULL,
    PRIMARY KEY (request_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    request_id TEXT NOT NULL PRIMARY KEY,
    body       BLOB NOT NULL
) STRICT;
