"""What pages and commands ask the database."""
