-- Names that rows repeat: a row may hold a mark in a name's place, its number here. Rows of before stay as they are.
CREATE TABLE words (
    id INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
) STRICT;
