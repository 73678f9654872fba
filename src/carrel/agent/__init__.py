"""The secure side: task client, attempts, storage, outputs. Never Django, never the controller."""
