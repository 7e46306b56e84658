-- Which process settled it: shared counters are rebuilt from what each has spent. NULL in rows of before.
ALTER TABLE requests ADD COLUMN replica text;
