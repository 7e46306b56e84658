-- What is managed while the gateway runs, and who did what to it. A change and its audit entry are one commit.
CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    updated_us INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE INDEX records_by_tenant ON records (kind, tenant, id);

CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    body BLOB NOT NULL,
    hash BLOB NOT NULL
);

CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;

CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log
BEGIN
    SELECT raise(ABORT, 'the audit log only grows');
END;
