"""The heart: jobs, their statuses, what to plan and what to do next. Pure functions of values."""
