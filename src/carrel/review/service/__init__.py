"""What changes rows: each function is one change, in one transaction, with its event in the audit log."""
