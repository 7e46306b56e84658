-- name: make
CREATE TABLE IF NOT EXISTS memory (generation TEXT NOT NULL, born_ms INTEGER NOT NULL, open_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS replicas (name TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    tally TEXT NOT NULL, replica TEXT NOT NULL, held INTEGER NOT NULL, settled INTEGER NOT NULL, keep_ms INTEGER,
    PRIMARY KEY (tally, replica)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seeded (win TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (
    subject TEXT PRIMARY KEY, total INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grains (
    subject TEXT NOT NULL, grain INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (subject, grain)
) WITHOUT ROWID;

-- name: begin_memory
INSERT INTO memory VALUES (?, ?, ?);

-- name: standing
SELECT generation, born_ms, open_ms, (SELECT until_ms FROM replicas WHERE name = ?) FROM memory;

-- name: live_on
INSERT INTO replicas VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET until_ms = ?2;

-- name: bury
DELETE FROM replicas WHERE name = ?;

-- name: bury_silent
DELETE FROM replicas WHERE until_ms <= ?;

-- name: count_living
SELECT count(*) FROM replicas WHERE until_ms > ?;

-- name: is_seeded
SELECT 1 FROM seeded WHERE win = ?;

-- name: note_seeded
INSERT OR IGNORE INTO seeded VALUES (?);

-- name: sum_spent
SELECT coalesce(sum(s.settled), 0), coalesce(sum(s.held) FILTER (WHERE r.until_ms > ?2), 0)
FROM spent AS s LEFT JOIN replicas AS r ON r.name = s.replica WHERE s.tally = ?1;

-- name: move_spent
INSERT INTO spent VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tally, replica) DO UPDATE SET held = held + ?3, settled = settled + ?4;

-- name: say_spent
INSERT INTO spent VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tally, replica) DO UPDATE SET held = ?3, settled = max(settled, ?4);

-- name: book_spent
INSERT INTO spent VALUES (?1, ?2, 0, ?3, ?4)
ON CONFLICT (tally, replica) DO UPDATE SET settled = max(settled, ?3);

-- name: forget_spent
DELETE FROM spent WHERE keep_ms <= ?;

-- name: list_tallies
SELECT DISTINCT tally FROM spent;

-- name: find_rate
SELECT total, oldest, newest FROM rates WHERE subject = ?;

-- name: say_rate
INSERT INTO rates VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (subject) DO UPDATE SET total = ?2, oldest = ?3, newest = ?4;

-- name: correct_rate
UPDATE rates SET total = total + ?2 WHERE subject = ?1;

-- name: forget_rates
DELETE FROM rates WHERE newest <= ?;

-- name: add_grain
INSERT INTO grains VALUES (?1, ?2, ?3) ON CONFLICT (subject, grain) DO UPDATE SET amount = amount + ?3;

-- name: correct_grain
UPDATE grains SET amount = amount + ?3 WHERE subject = ?1 AND grain = ?2;

-- name: drop_grains
DELETE FROM grains WHERE subject = ? AND grain <= ?;

-- name: sum_gone
SELECT coalesce(sum(amount), 0) FROM grains WHERE subject = ? AND grain <= ?;

-- name: forget_grains
DELETE FROM grains WHERE subject IN (SELECT subject FROM rates WHERE newest <= ?);

-- name: first_grain
SELECT min(grain) FROM grains WHERE subject = ?;

-- name: list_grains
SELECT grain, amount FROM grains WHERE subject = ? ORDER BY grain;
