"""Where managed records, the audit log and notes are kept; every change and its audit entry in one commit."""
