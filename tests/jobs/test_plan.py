"""`plan()` by example, and against a slow obvious recursion."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st
from tests.jobs.examples import PATIENT, Step, Steps, ago, latest, steps

from carrel.jobs.checks import StaleCodelists, TooHeavy, check_codelists, check_weights
from carrel.jobs.models import Capacity
from carrel.jobs.plan import (
    CyclicNeeds,
    NoActionsRequested,
    NothingToDo,
    Reason,
    Reuse,
    Run,
    UnknownAction,
    WaitFor,
    plan,
)
from carrel.jobs.statuses import State, StatusCode
from carrel.project.problems import ProjectValidationError

S = StatusCode
CHAIN = steps(extract=[], clean=["extract"], report=["clean"])


def reached(planned):
    return [(type(entry).__name__, entry.action) for entry in planned.entries]


def jobs(*of):
    return {job.action: job for job in of}


class TestRules:
    def test_needs_come_first_and_are_waited_for(self):
        planned = plan(["report"], CHAIN, {})
        assert [run.action for run in planned.runs] == ["extract", "clean", "report"]
        assert [run.wait_for_new for run in planned.runs] == [(), ("extract",), ("clean",)]
        assert [run.reason for run in planned.runs] == [Reason.NEVER_RAN, Reason.NEVER_RAN, Reason.REQUESTED]
        assert planned.nothing_to_do is None

    def test_what_succeeded_is_reused_and_its_needs_are_not_looked_at(self):
        planned = plan(["report"], CHAIN, jobs(latest("extract", S.NONZERO_EXIT), latest("clean")))
        assert reached(planned) == [("Reuse", "clean"), ("Run", "report")]
        assert planned.runs[0].wait_for_new == planned.runs[0].wait_for_jobs == ()
        assert planned.runs[0].reads == (("clean", "job-of-clean"),)

    def test_what_was_asked_for_by_name_runs_again(self):
        planned = plan(["clean"], CHAIN, jobs(latest("extract"), latest("clean")))
        assert reached(planned) == [("Reuse", "extract"), ("Run", "clean")]
        assert planned.runs[0].reason is Reason.REQUESTED
        assert planned.runs[0].previous == latest("clean")

    @pytest.mark.parametrize("code", [S.WAITING_ON_WORKERS, S.EXECUTING])
    def test_what_is_active_is_waited_for_even_when_asked_for_or_forced(self, code):
        planned = plan(["clean", "report"], CHAIN, jobs(latest("clean", code)), force=True)
        assert reached(planned) == [("WaitFor", "clean"), ("Run", "report")]
        assert planned.runs[0].wait_for_jobs == ("job-of-clean",)
        assert dict(planned.runs[0].reads)["clean"] == "job-of-clean"

    def test_what_failed_runs_again(self):
        planned = plan(["report"], CHAIN, jobs(latest("extract"), latest("clean", S.NONZERO_EXIT)))
        assert reached(planned) == [("Reuse", "extract"), ("Run", "clean"), ("Run", "report")]
        assert planned.runs[0].reason is Reason.LAST_FAILED

    def test_force_runs_dependencies_again(self):
        planned = plan(["report"], CHAIN, jobs(latest("extract"), latest("clean")), force=True)
        assert [(run.action, run.reason) for run in planned.runs[:2]] == [
            ("extract", Reason.FORCED),
            ("clean", Reason.FORCED),
        ]

    def test_a_job_whose_outputs_are_gone_counts_as_never_run(self):
        planned = plan(["report"], CHAIN, jobs(latest("extract"), latest("clean", outputs_missing=True)))
        assert reached(planned) == [("Reuse", "extract"), ("Run", "clean"), ("Run", "report")]
        assert planned.runs[0].reason is Reason.OUTPUTS_MISSING

    def test_run_all_is_not_asking_by_name(self):
        planned = plan(["run_all"], CHAIN, jobs(latest("extract"), latest("clean", S.JOB_ERROR)))
        assert reached(planned) == [("Reuse", "extract"), ("Run", "clean"), ("Run", "report")]
        assert planned.runs[1].reason is Reason.NEVER_RAN

    def test_run_all_beside_a_name_runs_that_one_again(self):
        planned = plan(["run_all", "extract"], CHAIN, jobs(*map(latest, CHAIN.actions)))
        assert reached(planned) == [("Run", "extract"), ("Reuse", "clean"), ("Reuse", "report")]

    def test_run_all_passes_over_an_action_of_that_name(self):
        planned = plan(["run_all"], steps(a=[], run_all=["a"]), {})
        assert reached(planned) == [("Run", "a")]

    def test_a_need_shared_or_named_twice_is_one_entry(self):
        pipeline = steps(base=[], left=["base", "base"], right=["base"], top=["left", "right"])
        planned = plan(["top", "top", "left"], pipeline, {})
        assert [run.action for run in planned.runs] == ["base", "left", "right", "top"]
        assert planned.runs[1].wait_for_new == ("base",)

    def test_jobs_of_actions_no_longer_in_the_file_are_ignored(self):
        assert reached(plan(["extract"], CHAIN, jobs(latest("gone", S.EXECUTING)))) == [("Run", "extract")]

    def test_a_chain_of_ten_thousand_is_no_trouble(self):
        pipeline = Steps({f"a{i}": Step([f"a{i - 1}"] if i else []) for i in range(10_000)})
        planned = plan(["a9999"], pipeline, {})
        assert [run.action for run in planned.runs] == [f"a{i}" for i in range(10_000)]


class TestNothingToDo:
    def test_all_succeeded(self):
        planned = plan(["run_all"], CHAIN, jobs(*map(latest, CHAIN.actions)))
        assert planned.nothing_to_do == "All actions have already completed successfully"
        assert planned.runs == ()

    def test_run_all_while_the_rest_is_active_says_the_contracts_sentence(self):
        active = jobs(latest("extract"), latest("clean"), latest("report", S.EXECUTING))
        assert plan(["run_all"], CHAIN, active).nothing_to_do is NothingToDo.ALL_SUCCEEDED

    def test_all_scheduled(self):
        planned = plan(["clean", "extract"], CHAIN, jobs(latest("clean", S.CREATED), latest("extract", S.EXECUTING)))
        assert planned.nothing_to_do == "All requested actions were already scheduled to run"


class TestErrors:
    def test_nothing_requested(self):
        with pytest.raises(NoActionsRequested, match=r"^At least one action must be supplied$"):
            plan([], CHAIN, {})

    def test_unknown_action(self):
        with pytest.raises(UnknownAction) as caught:
            plan(["run_all", "extrct"], CHAIN, {})
        assert str(caught.value) == "Action 'extrct' not found in project.yaml\nDid you mean `extract`?"
        assert caught.value.contract_message == "Action 'extrct' not found in project.yaml"
        assert caught.value.known == ("run_all", "extract", "clean", "report")
        assert caught.value.suggestion == "extract"
        assert isinstance(caught.value, ProjectValidationError)

    def test_unknown_action_with_nothing_near(self):
        with pytest.raises(UnknownAction) as caught:
            plan(["zzz"], CHAIN, {})
        assert str(caught.value) == "Action 'zzz' not found in project.yaml"

    def test_an_unknown_need_is_named(self):
        with pytest.raises(UnknownAction, match="Action 'nowhere' not found"):
            plan(["a"], steps(a=["nowhere"]), {})

    def test_a_circle_is_shown(self):
        with pytest.raises(CyclicNeeds, match="in a circle: b -> c -> b"):
            plan(["a"], steps(a=["b"], b=["c"], c=["b"]), {})

    def test_needing_oneself(self):
        with pytest.raises(CyclicNeeds, match="a -> a"):
            plan(["a"], steps(a=["a"]), {})


class TestWords:
    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            (Reason.REQUESTED, "will run: asked for by name"),
            (Reason.FORCED, "will run: dependencies are forced to run again"),
            (Reason.NEVER_RAN, "will run: has not run here before"),
            (Reason.LAST_FAILED, "will run: last run failed"),
            (Reason.OUTPUTS_MISSING, "will run: an output of its last run is missing"),
        ],
    )
    def test_run(self, reason, words):
        assert Run(action="a", reason=reason).words() == words

    def test_run_after_a_failure_says_which(self):
        assert (
            Run(action="a", reason=Reason.LAST_FAILED, previous=latest("a", S.NONZERO_EXIT))
            .words()
            .endswith("(nonzero_exit)")
        )
        assert (
            Run(action="a", reason=Reason.FORCED, previous=latest("a")).words()
            == "will run: dependencies are forced to run again"
        )

    def test_reuse(self):
        done = datetime(2026, 5, 3, tzinfo=UTC)
        entry = Reuse("a", latest("a", completed_at=done))
        assert entry.words(date(2026, 11, 1)) == "reused: succeeded on 3 May, commit abc1234"
        assert entry.words(date(2027, 1, 1)) == entry.words() == "reused: succeeded on 3 May 2026, commit abc1234"
        assert entry.since == done

    @pytest.mark.parametrize(
        ("commits", "words"),
        [
            (None, "abc1234"),
            (0, "abc1234"),
            (1, "abc1234, 1 commit ago"),
            (2, ", 2 commits ago"),
            (14, ", 14 commits ago"),
        ],
    )
    def test_reuse_of_an_older_commit(self, commits, words):
        assert Reuse("a", latest("a")).words(commits_ago=commits).endswith(words)

    def test_reuse_of_a_job_without_commit_or_end(self):
        entry = Reuse("a", latest("a", commit="", completed_at=None, created_at=datetime(2025, 12, 31, tzinfo=UTC)))
        assert entry.words() == "reused: succeeded on 31 December 2025"

    def test_wait_for(self):
        entry = WaitFor("a", latest("a", S.EXECUTING, created_at=ago(60)))
        assert entry.words() == "waits for the job that is running already"


class TestChecks:
    PIPELINE = Steps({"sql": Step([], True), "table": Step(["sql"])})

    def test_codelists_matter_to_new_database_jobs_only(self):
        planned = plan(["table"], self.PIPELINE, {})
        check_codelists(planned, codelists_ok=True)
        with pytest.raises(StaleCodelists, match=r"^Codelists are out of date \(required by action sql\)$"):
            check_codelists(planned, codelists_ok=False)
        check_codelists(plan(["table"], self.PIPELINE, jobs(latest("sql"))), codelists_ok=False)

    def test_a_job_heavier_than_its_pool_is_refused(self):
        planned = plan(["table"], self.PIPELINE, {})
        check_weights(planned, {"sql": 2, "table": 5}, Capacity(5, 2))
        with pytest.raises(TooHeavy, match="Action 'sql' takes 3 database workers, and this backend has 2"):
            check_weights(planned, {"sql": 3}, Capacity(5, 2))
        with pytest.raises(TooHeavy, match=r"Action 'table' takes 5.5 workers, and this backend has 5"):
            check_weights(planned, {"table": 5.5}, Capacity(5, 2))

    def test_what_is_reused_may_have_any_weight(self):
        check_weights(plan(["table"], self.PIPELINE, jobs(latest("sql"))), {"sql": 99}, Capacity(1, 1))


# --- the oracle: the contract's rules (controller.md 3.3) as a plain recursion ---


def should_rerun(job, name, requested, force):
    if job.state in (State.PENDING, State.RUNNING):
        return False
    if name in requested or force:
        return True
    return job.state is State.FAILED or job.outputs_missing


def oracle(requested, actions, current, force):
    result = {}

    def reach(name):
        if name in result:
            return
        job = current.get(name)
        if job is not None and not should_rerun(job, name, requested, force):
            result[name] = ("reuse" if job.state is State.SUCCEEDED else "wait", job.id, None)
            return
        for need in actions[name].needs:
            reach(need)
        waits = {(need, result[need][0]) for need in actions[name].needs if result[need][0] != "reuse"}
        result[name] = ("run", None, waits)

    for name in actions if "run_all" in requested else requested:
        reach(name)
    return result


@st.composite
def requests(draw):
    names = [f"a{i}" for i in range(draw(st.integers(1, 9)))]
    pipeline = Steps(
        {
            name: Step(draw(st.lists(st.sampled_from(names[:i]), max_size=4)) if i else [])
            for i, name in enumerate(names)
        }
    )
    codes = st.sampled_from([S.CREATED, S.EXECUTING, S.SUCCEEDED, S.SUCCEEDED, S.NONZERO_EXIT, S.DEPENDENCY_FAILED])
    current = {
        name: latest(name, draw(codes), outputs_missing=draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from(names), unique=True))
    }
    requested = draw(st.lists(st.sampled_from([*names, "run_all"]), min_size=1, max_size=4))
    return requested, pipeline, current, draw(st.booleans())


def as_oracle(planned):
    kinds = {Run: "run", Reuse: "reuse", WaitFor: "wait"}
    ids = {entry.job.id: entry.action for entry in planned.entries if isinstance(entry, WaitFor)}
    return {
        entry.action: (
            kinds[type(entry)],
            None if isinstance(entry, Run) else entry.job.id,
            {(name, "run") for name in entry.wait_for_new} | {(ids[job], "wait") for job in entry.wait_for_jobs}
            if isinstance(entry, Run)
            else None,
        )
        for entry in planned.entries
    }


@settings(PATIENT, max_examples=100)
@cases(requests())
def test_against_the_recursion(request_):
    requested, pipeline, current, force = request_
    planned = plan(requested, pipeline, current, force)
    expected = oracle(requested, pipeline.actions, current, force)
    assert as_oracle(planned) == expected
    assert [entry.action for entry in planned.entries] == list(expected)


@PATIENT
@cases(requests())
def test_properties_of_any_plan(request_):
    requested, pipeline, current, force = request_
    planned = plan(requested, pipeline, current, force)
    seen = set()
    for entry in planned.entries:
        if isinstance(entry, Run):
            assert set(pipeline.actions[entry.action].needs) <= seen, "a need comes after what needs it"
        seen.add(entry.action)
    assert len(seen) == len(planned.entries)
    assert (planned.nothing_to_do is None) == bool(planned.runs)
    if planned.nothing_to_do is NothingToDo.ALL_SCHEDULED:
        assert all(current[name].state in (State.PENDING, State.RUNNING) for name in requested)
