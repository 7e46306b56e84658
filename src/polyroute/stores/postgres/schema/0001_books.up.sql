-- Rows are final: written once, by a settlement, and never changed. What is still open is in the journals.
-- Money in nano-dollars, times in Unix microseconds (UTC).
CREATE TABLE requests (
    id                text             PRIMARY KEY,
    client_request_id text,
    opened_us         bigint           NOT NULL,
    settled_us        bigint           NOT NULL,
    tenant            text             NOT NULL,
    team              text             NOT NULL,
    "user"            text             NOT NULL,
    key_id            text,
    route             text             NOT NULL,
    policy            text             NOT NULL,
    state             text             NOT NULL CHECK (state IN ('settled', 'failed', 'cancelled', 'recovered')),
    reserved_nanos    bigint,
    cost_nanos        bigint           NOT NULL,
    cost_complete     boolean          NOT NULL,
    baseline          text,
    baseline_nanos    bigint,
    saved_nanos       bigint,
    model             text,
    provider          text,
    cache             text             NOT NULL,
    total_ms          double precision NOT NULL,
    overhead_ms       double precision NOT NULL
);

CREATE INDEX requests_by_time ON requests (opened_us);

CREATE TABLE attempts (
    request_id            text             NOT NULL,
    id                    text             NOT NULL,
    number                integer          NOT NULL,
    deployment            text             NOT NULL,
    provider              text             NOT NULL,
    model                 text             NOT NULL,
    upstream_model        text             NOT NULL,
    answered_model        text,
    status                text             NOT NULL
                          CHECK (status IN ('succeeded', 'rejected', 'failed', 'cancelled', 'unknown')),
    error                 text,
    http_status           integer,
    cost_nanos            bigint,
    input_tokens          bigint,
    cached_input_tokens   bigint,
    cache_write_tokens    bigint,
    cache_write_1h_tokens bigint,
    output_tokens         bigint,
    reasoning_tokens      bigint,
    input_audio_tokens    bigint,
    output_audio_tokens   bigint,
    estimated             boolean,
    started_ms            double precision NOT NULL,
    first_token_ms        double precision,
    duration_ms           double precision NOT NULL,
    PRIMARY KEY (request_id, id)
);

CREATE TABLE receipts (
    request_id text  PRIMARY KEY,
    body       bytea NOT NULL
);
