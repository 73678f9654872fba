"""What changes rows: each function is one change, in one transaction, with its line in the audit log."""
