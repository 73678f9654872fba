"""Git, and the only place that runs it: mirrors, a file at a commit, safe checkouts, who may be read."""
