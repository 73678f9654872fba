"""Where a job's process runs: Docker (or podman), bubblewrap. One Protocol, one conformance suite."""
