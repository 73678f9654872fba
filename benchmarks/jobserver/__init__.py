"""The job server after years: every page with 1,000,000 jobs, and 50 people at once."""
