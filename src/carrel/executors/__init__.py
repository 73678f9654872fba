"""Where a job's process runs: Docker (or podman), bubblewrap, Slurm. One Protocol, one conformance suite."""
