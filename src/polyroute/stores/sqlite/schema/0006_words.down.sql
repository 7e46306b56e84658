UPDATE requests SET
    tenant = coalesce((SELECT word FROM words WHERE id = word_number(tenant)), tenant),
    team = coalesce((SELECT word FROM words WHERE id = word_number(team)), team),
    user = coalesce((SELECT word FROM words WHERE id = word_number(user)), user),
    key_id = coalesce((SELECT word FROM words WHERE id = word_number(key_id)), key_id),
    route = coalesce((SELECT word FROM words WHERE id = word_number(route)), route),
    policy = coalesce((SELECT word FROM words WHERE id = word_number(policy)), policy),
    baseline = coalesce((SELECT word FROM words WHERE id = word_number(baseline)), baseline),
    model = coalesce((SELECT word FROM words WHERE id = word_number(model)), model),
    provider = coalesce((SELECT word FROM words WHERE id = word_number(provider)), provider),
    replica = coalesce((SELECT word FROM words WHERE id = word_number(replica)), replica);
UPDATE attempts SET
    deployment = coalesce((SELECT word FROM words WHERE id = word_number(deployment)), deployment),
    provider = coalesce((SELECT word FROM words WHERE id = word_number(provider)), provider),
    model = coalesce((SELECT word FROM words WHERE id = word_number(model)), model),
    upstream_model = coalesce((SELECT word FROM words WHERE id = word_number(upstream_model)), upstream_model),
    answered_model = coalesce((SELECT word FROM words WHERE id = word_number(answered_model)), answered_model),
    error = coalesce((SELECT word FROM words WHERE id = word_number(error)), error);
DROP TABLE words;
