"""What was opened and settled, on disk before the caller goes on: one file per process, one appended line each."""
