-- What is kept for a while under a name, without a trace in the audit log: answers to idempotent requests.
CREATE TABLE notes (
    space TEXT NOT NULL,
    name TEXT NOT NULL,
    until_us INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (space, name)
) WITHOUT ROWID;

CREATE INDEX notes_by_end ON notes (until_us);
