-- Of each kind that is kept for a while, what was there before this moment may be gone. Receipts may be packed from
-- here on, and an attempt's id be what follows its request's (`.0`); rows of before stay as they are.
CREATE TABLE expired (
    kind TEXT NOT NULL PRIMARY KEY,
    before_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
