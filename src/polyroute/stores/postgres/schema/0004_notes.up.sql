-- What is kept for a while under a name, without a trace in the audit log: answers to idempotent requests.
CREATE TABLE notes (
    space    text   NOT NULL,
    name     text   NOT NULL,
    until_us bigint NOT NULL,
    body     bytea  NOT NULL,
    PRIMARY KEY (space, name)
);

CREATE INDEX notes_by_end ON notes (until_us);
