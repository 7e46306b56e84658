-- name: settle_request
INSERT INTO requests (
    id, client_request_id, opened_us, settled_us, tenant, team, "user", key_id, route, policy, state, reserved_nanos,
    cost_nanos, cost_complete, baseline, baseline_nanos, saved_nanos, model, provider, cache, total_ms, overhead_ms,
    replica
)
SELECT
    id, client_request_id, opened_us, settled_us, tenant, team, "user", key_id, route, policy, state, reserved_nanos,
    cost_nanos, cost_complete <> 0, baseline, baseline_nanos, saved_nanos, model, provider, cache, total_ms, overhead_ms,
    replica
FROM unnest(
    %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::text[],
    %s::text[], %s::text[], %s::float8[], %s::float8[], %s::text[]
) AS settled (
    id, client_request_id, opened_us, settled_us, tenant, team, "user", key_id, route, policy, state, reserved_nanos,
    cost_nanos, cost_complete, baseline, baseline_nanos, saved_nanos, model, provider, cache, total_ms, overhead_ms,
    replica
)
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: settle_attempt
INSERT INTO attempts (
    request_id, id, number, deployment, provider, model, upstream_model, answered_model, status, error, http_status,
    cost_nanos, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
    reasoning_tokens, input_audio_tokens, output_audio_tokens, estimated, started_ms, first_token_ms, duration_ms
)
SELECT
    request_id, id, number, deployment, provider, model, upstream_model, answered_model, status, error, http_status,
    cost_nanos, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
    reasoning_tokens, input_audio_tokens, output_audio_tokens, estimated <> 0, started_ms, first_token_ms, duration_ms
FROM unnest(
    %s::text[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::float8[], %s::float8[], %s::float8[]
) AS ended (
    request_id, id, number, deployment, provider, model, upstream_model, answered_model, status, error, http_status,
    cost_nanos, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
    reasoning_tokens, input_audio_tokens, output_audio_tokens, estimated, started_ms, first_token_ms, duration_ms
);

-- name: keep_receipt
INSERT INTO receipts (request_id, body) SELECT * FROM unnest(%s::text[], %s::bytea[]);

-- name: find_receipt
SELECT body FROM receipts WHERE request_id = %s;

-- name: lock_receipt
SELECT body FROM receipts WHERE request_id = %s FOR UPDATE;

-- name: amend_request
UPDATE requests SET cost_nanos = %s, cost_complete = %s::int <> 0, baseline = %s, baseline_nanos = %s, saved_nanos = %s
WHERE id = %s;

-- name: amend_attempt
UPDATE attempts SET cost_nanos = %s, input_tokens = %s, cached_input_tokens = %s, cache_write_tokens = %s,
    cache_write_1h_tokens = %s, output_tokens = %s, reasoning_tokens = %s, input_audio_tokens = %s,
    output_audio_tokens = %s, estimated = %s::int <> 0
WHERE request_id = %s AND id = %s;

-- name: amend_receipt
UPDATE receipts SET body = %s WHERE request_id = %s;

-- name: is_settled
SELECT id FROM requests WHERE id = ANY(%s);

-- name: list_recent
SELECT r.body FROM requests AS q JOIN receipts AS r ON r.request_id = q.id
WHERE q.opened_us < %s ORDER BY q.opened_us DESC, q.id DESC LIMIT %s;

-- name: sum_spent
SELECT q.replica, q.tenant, q.team, q."user", q.key_id, a.model, a.deployment, a.provider, sum(a.cost_nanos)::bigint
FROM requests AS q JOIN attempts AS a ON a.request_id = q.id
WHERE q.opened_us >= %s AND a.cost_nanos IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

-- name: sum_usage
SELECT q.tenant, q.team, q."user", q.key_id, a.model, a.provider, q.opened_us / 86400000000, count(*)::bigint,
    sum(CASE WHEN a.status = 'failed' OR a.status = 'unknown' THEN 1 ELSE 0 END)::bigint,
    sum(CASE WHEN a.cost_nanos IS NULL THEN 1 ELSE 0 END)::bigint,
    coalesce(sum(a.input_tokens + a.cached_input_tokens + a.cache_write_tokens + a.cache_write_1h_tokens
                 + a.input_audio_tokens), 0)::bigint,
    coalesce(sum(a.output_tokens + a.reasoning_tokens + a.output_audio_tokens), 0)::bigint,
    coalesce(sum(a.cost_nanos), 0)::bigint
FROM requests AS q JOIN attempts AS a ON a.request_id = q.id
WHERE q.opened_us >= %s AND q.opened_us < %s
GROUP BY 1, 2, 3, 4, 5, 6, 7;

-- name: sum_caches
SELECT q.tenant, q.route, q.cache, count(*)::bigint, sum(q.cost_nanos)::bigint, coalesce(sum(q.saved_nanos), 0)::bigint
FROM requests AS q
WHERE q.opened_us >= %s AND q.state = 'settled'
GROUP BY 1, 2, 3;

-- name: list_billed
SELECT q.opened_us / 86400000000, q.tenant, q.team, a.provider, a.model, a.upstream_model, a.answered_model,
    coalesce(a.input_tokens, 0), coalesce(a.cached_input_tokens, 0), coalesce(a.cache_write_tokens, 0),
    coalesce(a.cache_write_1h_tokens, 0), coalesce(a.output_tokens, 0), coalesce(a.reasoning_tokens, 0),
    coalesce(a.input_audio_tokens, 0), coalesce(a.output_audio_tokens, 0), a.input_tokens IS NOT NULL, a.cost_nanos
FROM requests AS q JOIN attempts AS a ON a.request_id = q.id
WHERE q.opened_us >= %s AND q.opened_us < %s;

-- name: list_request_figures
SELECT q.route, q.model, q.state, q.cost_nanos, q.cost_complete, q.saved_nanos, q.total_ms,
    coalesce(a.input_tokens, 0)::bigint, coalesce(a.output_tokens, 0)::bigint
FROM requests AS q LEFT JOIN (
    SELECT request_id,
        sum(input_tokens + cached_input_tokens + cache_write_tokens + cache_write_1h_tokens + input_audio_tokens)
            AS input_tokens,
        sum(output_tokens + reasoning_tokens + output_audio_tokens) AS output_tokens
    FROM attempts GROUP BY request_id
) AS a ON a.request_id = q.id
WHERE q.opened_us >= %s;

-- name: list_attempt_figures
SELECT a.model, a.status, a.cost_nanos, a.duration_ms,
    coalesce(a.input_tokens + a.cached_input_tokens + a.cache_write_tokens + a.cache_write_1h_tokens
             + a.input_audio_tokens, 0),
    coalesce(a.output_tokens + a.reasoning_tokens + a.output_audio_tokens, 0)
FROM requests AS q JOIN attempts AS a ON a.request_id = q.id WHERE q.opened_us >= %s;

-- name: list_requests
SELECT q.id, q.client_request_id, q.opened_us, q.settled_us, q.tenant, q.team, q."user", q.key_id, q.route, q.policy,
    q.state, q.reserved_nanos, q.cost_nanos, q.cost_complete, q.baseline, q.baseline_nanos, q.saved_nanos, q.model,
    q.provider, q.cache, q.total_ms, q.overhead_ms, r.body
FROM requests AS q LEFT JOIN receipts AS r ON r.request_id = q.id
WHERE q.opened_us >= %s AND q.opened_us < %s ORDER BY q.opened_us, q.id COLLATE "C";

-- name: list_attempts
SELECT request_id, id, number, deployment, provider, model, upstream_model, answered_model, status, error, http_status,
    cost_nanos, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
    reasoning_tokens, input_audio_tokens, output_audio_tokens, estimated, started_ms, first_token_ms, duration_ms
FROM attempts WHERE request_id = ANY(%s) ORDER BY request_id, number, id;

-- name: find_stray_attempts
SELECT request_id, id FROM attempts WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = attempts.request_id);

-- name: find_stray_receipts
SELECT request_id FROM receipts WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = receipts.request_id);

-- name: find_shared_attempts
SELECT id, count(*) FROM attempts WHERE substr(id, 1, 1) <> '.' GROUP BY id HAVING count(*) > 1;

-- name: find_batch_end
SELECT opened_us FROM requests WHERE opened_us >= %s AND opened_us < %s ORDER BY opened_us LIMIT 1 OFFSET %s;

-- name: expire_receipts
DELETE FROM receipts WHERE request_id IN (SELECT id FROM requests WHERE opened_us >= %s AND opened_us < %s);

-- name: expire_attempts
DELETE FROM attempts WHERE request_id IN (SELECT id FROM requests WHERE opened_us >= %s AND opened_us < %s);

-- name: expire_requests
DELETE FROM requests WHERE opened_us >= %s AND opened_us < %s;

-- name: expire_notes
DELETE FROM notes WHERE (space, name) IN (SELECT space, name FROM notes WHERE until_us <= %s LIMIT %s);

-- name: note_expired
INSERT INTO expired (kind, before_us) VALUES (%s, %s)
ON CONFLICT (kind) DO UPDATE SET before_us = greatest(expired.before_us, excluded.before_us);

-- name: expired_before
SELECT before_us FROM expired WHERE kind = %s;

-- name: count_receipts
SELECT count(*) FROM receipts AS r JOIN requests AS q ON q.id = r.request_id WHERE q.opened_us < %s;

-- name: count_requests
SELECT count(*) FROM requests WHERE opened_us < %s;

-- name: count_notes
SELECT count(*) FROM notes WHERE until_us <= %s;
