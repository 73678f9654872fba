"""Tags of the job server's own templates."""
