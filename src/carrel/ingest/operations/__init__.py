"""What is done with a warehouse as a whole, each a command: ingest, replay, withdraw, compact, export, reconcile."""
