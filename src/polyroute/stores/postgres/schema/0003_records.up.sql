-- What is managed while the gateway runs, and who did what to it. A change and its audit entry are one commit.
CREATE TABLE records (
    kind       text   NOT NULL,
    id         text   NOT NULL,
    tenant     text   NOT NULL,
    version    bigint NOT NULL CHECK (version > 0),
    updated_us bigint NOT NULL,
    body       bytea  NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX records_by_tenant ON records (kind, tenant, id);

CREATE TABLE audit_log (
    seq  bigint PRIMARY KEY CHECK (seq > 0),
    body bytea  NOT NULL,
    hash bytea  NOT NULL
);

CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$;

CREATE TRIGGER audit_log_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();
