"""The values everything else speaks in. Frozen, keyword-only, complete when built; no I/O, no clock."""
