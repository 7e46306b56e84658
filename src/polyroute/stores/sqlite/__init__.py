"""The books in one SQLite file, shared by the gateway's processes and read beside them by the command line."""
