"""One attempt's thread, at a moment that a test with real processes meets once in a dozen runs."""

from pathlib import Path
from types import SimpleNamespace

from carrel.agent.runner import Runner
from carrel.agent.storage import Storage
from carrel.executors.base import Inspection, Phase
from carrel.messages.tasks import JobDefinition, StudyCommit, Task, TaskType

STUDY = StudyCommit(git_repo_url="u", commit="c", branch="b")
JOB = JobDefinition(
    id="job1", rap_id="r", repo_url="u", commit="c", study=STUDY, workspace="w", action="a", created_at=0, image="x:v1"
)


def task(task_id: str, kind: TaskType) -> Task:
    return Task(id=task_id, backend="test", type=kind, definition=JOB.model_dump(), created_at=0)


def test_a_cancellation_that_comes_while_the_end_is_reported_is_answered_too(tmp_path: Path) -> None:
    """What was reported was the attempt's own task: nobody has been told yet that the cancelled one is over."""
    storage = Storage(*(tmp_path / name for name in ("high", "medium", "archives", "volumes")))
    storage.create()
    executor = SimpleNamespace(inspect=lambda name: Inspection(Phase.ABSENT))
    told: list[str] = []

    class Reporter:
        def add(self, update, on_answer) -> None:
            told.append(update.task_id)
            if len(told) == 1:
                runner.cancel(task("job1-001-cancel", TaskType.CANCELJOB))
            on_answer(200)

    context = SimpleNamespace(storage=storage, executor=executor)
    runner = Runner(context, task("job1-001", TaskType.RUNJOB), Reporter(), meter=None)
    runner.read_record = lambda: {"error": None, "timestamp_ns": 1, "exit_code": 0}
    runner._report_outcome()
    assert runner.settled == {"job1-001"}
    assert not runner.observe().reported
    runner._report_outcome()
    assert told == ["job1-001", "job1-001-cancel"]
    assert runner.settled == {"job1-001", "job1-001-cancel"}
    assert runner.observe().reported
