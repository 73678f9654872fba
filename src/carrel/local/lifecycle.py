"""One attempt from its first step to its last (local-run.md section 4)."""

from carrel.executors.base import ExecutorError, Phase
from carrel.jobs.statuses import StatusCode
from carrel.local.attempt import LocalAttempt
from carrel.local.finalisation import finalise
from carrel.local.records import ActionRecord


def run(attempt: LocalAttempt) -> ActionRecord:
    """The record of the finished attempt, already published with its outputs and log. Call it once, in a thread.

    Raises `Stopped`, and `ExecutorError` or `OSError` for a fault of the machine: then nothing was published.
    """
    try:
        mounts = attempt.prepare()
        attempt.execute(mounts)
        record = _end(attempt)
    except BaseException:
        attempt.clean_up()
        raise
    attempt.tell(StatusCode(record.status_code), record.status_message)
    attempt.detail(StatusCode(record.status_code), "Cleaning up container and volume")
    attempt.clean_up()
    return record


def _end(attempt: LocalAttempt) -> ActionRecord:
    attempt.tell(StatusCode.FINALIZING)
    inspection = attempt.context.executor.inspect(attempt.name)
    if inspection.phase is Phase.ABSENT or inspection.lost:
        raise ExecutorError("its process was lost (was the machine or the runtime restarted?)")
    record = finalise(attempt, inspection)
    attempt.tell(StatusCode.FINALIZED)
    return record
