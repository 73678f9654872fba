"""The older link to a job server, for a controller that nobody can reach: it asks, and tells what became of it."""
