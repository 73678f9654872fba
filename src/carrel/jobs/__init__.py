"""The heart: jobs, their statuses, what to plan and what to do next. Pure functions of values.

* `statuses`: states, status codes, THE transition table, plain words.
* `transitions.transition()`: the new values of a job whose status changes.
* `plan.plan()`: what to run, reuse and wait for, with the reasons.
* `schedule.schedule()`: what to do now with the active jobs of one backend.
* `outcomes.results_to_outcome()`: what an agent's results mean for the job.
* `retries`: what happens after an infrastructure fault. `weights`: how much of a pool a job takes.
"""
