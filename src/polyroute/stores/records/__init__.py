"""Where managed records and the audit log are kept: one table each, every change and its audit entry in one commit."""
