"""`schedule()`: each rule by example."""

from datetime import timedelta

import pytest
from tests.jobs.examples import MAINTENANCE, NOW, active, ago, finished, given, later, running

from carrel.jobs.models import BackendFlags, Capacity
from carrel.jobs.retries import RetryPolicy, in_words
from carrel.jobs.schedule import Effect, fault_decision, next_wakeup, schedule
from carrel.jobs.statuses import RUNNING_CODES, STATUSES, State, StatusCode

S = StatusCode
PAUSED = BackendFlags(paused=True)
IN_MAINTENANCE = BackendFlags(mode=MAINTENANCE)


def decide(*jobs, **changes):
    return {decision.job_id: decision for decision in schedule(given(*jobs, **changes), NOW)}


def codes(*jobs, **changes):
    return {name: decision.status_code for name, decision in decide(*jobs, **changes).items()}


def only(*jobs, **changes):
    (decision,) = decide(*jobs, **changes).values()
    return decision


class TestStarting:
    def test_a_created_job_starts(self):
        decision = only(active())
        assert (decision.status_code, decision.effect) == (S.INITIATED, Effect.START)
        assert decision.message == "Job executing on the backend"
        assert decision.not_before is None

    def test_nothing_to_decide_about_no_jobs(self):
        assert decide() == {}

    def test_finished_jobs_given_by_mistake_are_left_alone(self):
        assert decide(active(code=S.SUCCEEDED), active("j2", S.NONZERO_EXIT, cancelled=True)) == {}


class TestCancelling:
    @pytest.mark.parametrize("job", [active(cancelled=True), running(cancelled=True), finished(cancelled=True)])
    @pytest.mark.parametrize("flags", [BackendFlags(), PAUSED, IN_MAINTENANCE])
    def test_comes_before_everything(self, job, flags):
        decision = only(job, flags=flags)
        assert (decision.status_code, decision.effect) == (S.CANCELLED_BY_USER, Effect.STOP)
        assert decision.message == "Cancelled by user"

    def test_makes_room_at_once(self):
        assert codes(running("a", cancelled=True), active("b"), capacity=Capacity(1, 1)) == {
            "a": S.CANCELLED_BY_USER,
            "b": S.INITIATED,
        }

    def test_fails_what_waits_for_it_in_the_same_pass_whatever_the_order(self):
        chain = [
            active("top", wait_for=("middle",), created_at=ago(30)),
            active("middle", wait_for=("base",), created_at=ago(20)),
            active("base", cancelled=True, created_at=ago(10)),
            active("other", wait_for=("elsewhere",), created_at=ago(40)),
        ]
        assert codes(*chain, dependency_states={"elsewhere": State.RUNNING}) == {
            "base": S.CANCELLED_BY_USER,
            "middle": S.DEPENDENCY_FAILED,
            "top": S.DEPENDENCY_FAILED,
            "other": S.WAITING_ON_DEPENDENCIES,
        }

    def test_fails_a_job_that_waits_for_two_that_failed_once(self):
        jobs = [active("a", wait_for=("b", "c"), created_at=ago(700)), *(active(n, cancelled=True) for n in "bc")]
        assert codes(*jobs)["a"] is S.DEPENDENCY_FAILED


class TestPaused:
    def test_nothing_starts_and_what_runs_goes_on(self):
        decisions = decide(active("a"), running("b"), finished("c"), flags=PAUSED)
        assert {name: each.status_code for name, each in decisions.items()} == {"a": S.WAITING_PAUSED, "c": S.SUCCEEDED}
        assert decisions["a"].message == (
            "Backend is currently paused for maintenance, job will start once this is completed"
        )

    def test_a_job_waiting_for_a_reboot_keeps_its_code(self):
        assert decide(active(code=S.WAITING_ON_REBOOT), flags=PAUSED) == {}

    def test_comes_before_dependencies(self):
        assert codes(active(wait_for=("x",)), dependency_states={"x": State.FAILED}, flags=PAUSED) == {
            "j1": S.WAITING_PAUSED
        }

    @pytest.mark.parametrize("code", [S.WAITING_PAUSED, S.WAITING_ON_REBOOT, S.WAITING_DB_MAINTENANCE])
    def test_afterwards_jobs_start(self, code):
        assert codes(active(code=code)) == {"j1": S.INITIATED}


class TestDatabaseMaintenance:
    def test_database_jobs_wait_and_others_do_not(self):
        assert codes(active("db", requires_db=True), active("other"), flags=IN_MAINTENANCE) == {
            "db": S.WAITING_DB_MAINTENANCE,
            "other": S.INITIATED,
        }

    def test_running_database_jobs_are_stopped(self):
        decision = only(running("db", requires_db=True), running("other"), flags=IN_MAINTENANCE)
        assert (decision.job_id, decision.effect) == ("db", Effect.STOP)
        assert decision.message == "Waiting for database to finish maintenance"

    def test_one_that_has_just_failed_is_run_again_after_it(self):
        job = finished(results={"exit_code": "5"}, requires_db=True)
        assert codes(job, flags=IN_MAINTENANCE) == {"j1": S.WAITING_DB_MAINTENANCE}

    def test_one_that_has_just_succeeded_has_succeeded(self):
        assert codes(finished(requires_db=True), flags=IN_MAINTENANCE) == {"j1": S.SUCCEEDED}

    def test_any_other_mode_is_no_maintenance(self):
        assert codes(active(requires_db=True), flags=BackendFlags(mode="")) == {"j1": S.INITIATED}


class TestDependencies:
    @pytest.mark.parametrize(
        ("states", "code"),
        [
            ({"x": State.SUCCEEDED, "y": State.SUCCEEDED}, S.INITIATED),
            ({"x": State.SUCCEEDED, "y": State.PENDING}, S.WAITING_ON_DEPENDENCIES),
            ({"x": State.SUCCEEDED, "y": State.RUNNING}, S.WAITING_ON_DEPENDENCIES),
            ({"x": State.RUNNING, "y": State.FAILED}, S.DEPENDENCY_FAILED),
            ({"x": State.SUCCEEDED}, S.INITIATED),
            ({}, S.INITIATED),
        ],
    )
    def test_states(self, states, code):
        decision = only(active(wait_for=("x", "y")), dependency_states=states)
        assert decision.status_code is code
        assert decision.message == STATUSES[code].message

    def test_a_dependency_that_ends_in_this_pass_counts(self):
        child = active("child", S.WAITING_ON_DEPENDENCIES, wait_for=("parent",))
        assert codes(child, finished("parent")) == {"parent": S.SUCCEEDED, "child": S.INITIATED}
        assert codes(child, finished("parent", {"exit_code": "1"}))["child"] is S.DEPENDENCY_FAILED

    def test_an_active_dependency_is_believed_before_what_was_given(self):
        child = active("child", S.WAITING_ON_DEPENDENCIES, wait_for=("parent",))
        assert decide(child, running("parent"), dependency_states={"parent": State.SUCCEEDED}) == {}


class TestRoom:
    def test_two_pools(self):
        jobs = [running("r1"), running("r2", requires_db=True), active("a"), active("b", requires_db=True)]
        decisions = decide(*jobs, capacity=Capacity(1, 1))
        assert decisions["a"].status_code is S.WAITING_ON_WORKERS
        assert decisions["a"].message == "Waiting on available workers"
        assert decisions["b"].status_code is S.WAITING_ON_DB_WORKERS
        assert decisions["b"].message == "Waiting on available database workers"
        assert codes(*jobs, capacity=Capacity(2, 1)) == {"a": S.INITIATED, "b": S.WAITING_ON_DB_WORKERS}

    def test_weights(self):
        decision = only(running("r", weight=2), active("a", weight=2), capacity=Capacity(3, 0))
        assert decision.message == "Waiting on available workers for resource intensive job"
        assert codes(running("r", weight=2), active("a", weight=2), capacity=Capacity(4, 0)) == {"a": S.INITIATED}

    def test_ten_tenths_fit_in_one(self):
        jobs = [active(f"j{i}", weight=0.1) for i in range(10)]
        assert set(codes(*jobs, capacity=Capacity(1, 0)).values()) == {S.INITIATED}

    def test_a_heavy_job_at_the_head_keeps_its_place(self):
        jobs = [
            running("r"),
            active("heavy", weight=4, created_at=ago(50), workspace="v"),
            active("small", created_at=ago(40), workspace="v"),
            active("tiny", created_at=ago(30), workspace="u"),
            active("db", requires_db=True, created_at=ago(20), workspace="u"),
        ]
        decisions = decide(*jobs, capacity=Capacity(4, 4))
        assert {name: each.status_code for name, each in decisions.items()} == {
            "heavy": S.WAITING_ON_WORKERS,
            "small": S.WAITING_ON_WORKERS,
            "tiny": S.WAITING_ON_WORKERS,
            "db": S.INITIATED,
        }
        assert decisions["small"].message == "Waiting on available workers, behind a resource intensive job"

    def test_a_heavy_job_of_the_database_pool_has_the_pools_plain_words(self):
        decision = only(
            running("r", requires_db=True), active("a", requires_db=True, weight=2), capacity=Capacity(0, 2)
        )
        assert decision.message == "Waiting on available database workers"

    @pytest.mark.parametrize(("weight", "words"), [(1, ""), (1.5, ", behind a resource intensive job")])
    def test_what_waits_behind_another_is_told_so_when_that_is_heavy(self, weight, words):
        first = active("first", weight=weight, created_at=ago(50))
        decisions = decide(running("r"), first, active("second", created_at=ago(40)), capacity=Capacity(1.75, 0))
        assert decisions["second"].message == f"Waiting on available workers{words}"

    def test_a_job_too_heavy_for_a_pool_that_shrank_blocks_nobody(self):
        decisions = decide(active("heavy", weight=4), active("small"), capacity=Capacity(3, 3))
        assert decisions["heavy"].message == (
            "Waiting on available workers for resource intensive job: it takes 4, this backend now has 3"
        )
        assert decisions["small"].status_code is S.INITIATED


class TestLookingAgain:
    """A running job that could not be looked at is left alone until `not_before`, and no longer."""

    def test_it_is_left_alone_until_then(self):
        assert decide(finished("a", not_before=later(1))) == {}

    @pytest.mark.parametrize("at", [NOW, ago(1)])
    def test_from_then_on_it_is_looked_at(self, at):
        assert codes(finished("a", not_before=at)) == {"a": S.SUCCEEDED}


class TestManyAttempts:
    @pytest.mark.parametrize(("exit_code", "code"), [("0", S.SUCCEEDED), ("1", S.NONZERO_EXIT)])
    def test_a_job_that_ends_well_after_all_is_believed(self, exit_code, code):
        """Only one more restart of the server would be one too many."""
        job = finished("a", {"exit_code": exit_code}, attempts=RetryPolicy().reboots + 1)
        assert codes(job) == {"a": code}


class TestWhatIsWritten:
    def test_another_code_is_written_though_the_words_are_the_same(self):
        job = active(status_message=STATUSES[S.WAITING_PAUSED].message)
        assert codes(job, flags=PAUSED) == {"j1": S.WAITING_PAUSED}

    @pytest.mark.parametrize("at", [NOW, ago(1)])
    def test_a_pause_that_is_over_is_forgotten(self, at):
        decisions = decide(running("r"), active("a", not_before=at), capacity=Capacity(1, 0))
        assert (decisions["a"].status_code, decisions["a"].not_before) == (S.WAITING_ON_WORKERS, None)


class TestOrder:
    def starts(self, *jobs, room=1):
        decisions = schedule(given(*jobs, capacity=Capacity(room, room)), NOW)
        return [each.job_id for each in decisions if each.effect is Effect.START]

    def test_oldest_first(self):
        assert self.starts(active("new", created_at=ago(1)), active("old", created_at=ago(2))) == ["old"]

    def test_workspaces_with_the_fewest_running_first(self):
        jobs = [
            running("r", workspace="busy"),
            active("a", workspace="busy", created_at=ago(9)),
            active("b", workspace="idle", created_at=ago(1)),
        ]
        assert self.starts(*jobs, room=2) == ["b"]

    def test_the_number_running_grows_as_jobs_start(self):
        jobs = [active(f"v{i}", workspace="v", created_at=ago(90 - i)) for i in range(3)]
        jobs += [active(f"w{i}", workspace="w", created_at=ago(9 - i)) for i in range(3)]
        assert self.starts(*jobs, room=6) == ["v0", "w0", "v1", "w1", "v2", "w2"]

    def test_database_jobs_before_others(self):
        jobs = [active("a", created_at=ago(9)), active("b", requires_db=True, created_at=ago(1))]
        assert self.starts(*jobs, room=2) == ["b", "a"]

    def test_equal_jobs_in_the_order_given(self):
        assert self.starts(active("z"), active("a"), active("m"), room=3) == ["z", "a", "m"]


class TestMirroring:
    @pytest.mark.parametrize("stage", sorted(RUNNING_CODES - {S.INITIATED}))
    def test_a_stage_becomes_the_code(self, stage):
        job = active(code=S.INITIATED, agent_stage=stage.value, agent_timestamp_ns=17)
        decision = only(job)
        assert (decision.status_code, decision.message, decision.at_ns) == (stage, STATUSES[stage].message, 17)
        assert decision.effect is Effect.NONE

    @pytest.mark.parametrize("stage", ["unknown", "error", "initiated", "nonsense", "", None, "prepared", "succeeded"])
    def test_an_unknown_or_earlier_stage_changes_nothing(self, stage):
        assert decide(active(code=S.EXECUTED, agent_stage=stage)) == {}

    def test_preparing_afresh_is_believed(self):
        assert codes(active(code=S.EXECUTING, agent_stage="preparing")) == {"j1": S.PREPARING}

    def test_an_unchanged_job_is_touched_once_a_minute(self):
        assert decide(running(updated_at=ago(59))) == {}
        decision = only(running(updated_at=ago(60)))
        assert (decision.status_code, decision.message) == (S.EXECUTING, STATUSES[S.EXECUTING].message)
        assert (
            only(active(code=S.WAITING_ON_REBOOT, updated_at=ago(60)), flags=PAUSED).status_code is S.WAITING_ON_REBOOT
        )


class TestSilence:
    def test_a_lease_that_ended_is_said_and_nothing_is_started_again(self):
        decision = only(running(lease_expires_at=ago(60)))
        assert (decision.status_code, decision.effect) == (S.EXECUTING, Effect.NONE)
        assert "No word from the backend's agent, which was due by 11:59 UTC on 3 May" in decision.message
        assert decide(running(lease_expires_at=ago(60), status_message=decision.message)) == {}

    def test_the_message_goes_when_the_agent_is_back(self):
        decision = only(running(lease_expires_at=later(60), status_message="No word"))
        assert decision.message == STATUSES[S.EXECUTING].message

    def test_no_lease_no_silence(self):
        assert decide(running(lease_expires_at=None)) == {}


class TestTimeouts:
    def test_time_up(self):
        decision = only(running(started_at=ago(5400), timeout_seconds=5400))
        assert (decision.status_code, decision.effect) == (S.TIMED_OUT, Effect.STOP)
        assert decision.message == "Job ran longer than its time limit of 1 h 30 min and was stopped"

    def test_time_not_up_or_no_limit(self):
        assert decide(running(started_at=ago(5399), timeout_seconds=5400), running("j2", started_at=ago(10**7))) == {}

    def test_a_running_job_without_start_has_no_end(self):
        assert decide(running(started_at=None, timeout_seconds=1)) == {}

    def test_results_in_time_count(self):
        assert codes(finished(started_at=ago(9), timeout_seconds=5)) == {"j1": S.SUCCEEDED}

    def test_the_agents_word_is_told_with_the_limit(self):
        job = finished(results={"exit_code": "137", "timed_out": True}, timeout_seconds=60)
        assert only(job).message == "Job ran longer than its time limit of 1 min and was stopped"
        bare = finished(results={"exit_code": "137", "timed_out": True})
        assert only(bare).message == "Job ran longer than its time limit and was stopped"


class TestFinishing:
    @pytest.mark.parametrize(
        ("results", "code"),
        [
            ({}, S.SUCCEEDED),
            ({"exit_code": "3"}, S.NONZERO_EXIT),
            ({"has_unmatched_patterns": True}, S.UNMATCHED_PATTERNS),
            ({"error": {"type": "bad_task"}}, S.JOB_ERROR),
        ],
    )
    def test_results_decide(self, results, code):
        decision = only(finished(results=results, agent_timestamp_ns=5))
        assert (decision.status_code, decision.effect, decision.at_ns) == (code, Effect.NONE, 5)
        assert not decision.failed

    def test_a_missing_input_is_passed_on(self):
        decision = only(finished(results={"error": {"type": "input_missing", "action": "extract"}}))
        assert (decision.status_code, decision.missing_inputs_of) == (S.DEPENDENCY_FAILED, ("extract",))

    def test_a_finished_job_makes_room_in_the_same_pass(self):
        assert codes(finished("a"), active("b"), capacity=Capacity(1, 1)) == {"a": S.SUCCEEDED, "b": S.INITIATED}


class TestRetries:
    FULL = {"error": {"type": "disk_full", "reference": "ab12"}}

    def test_the_first_fault(self):
        decision = only(finished(results=self.FULL))
        assert (decision.status_code, decision.effect) == (S.WAITING_ON_NEW_TASK, Effect.NONE)
        assert decision.message == (
            "This job returned an error that could be retried with a new task: the disk of the backend is full "
            "(reference ab12). Attempt 2 of 3 starts in 5 s."
        )
        assert decision.not_before == later(5)
        assert decision.failed

    def test_the_second_fault(self):
        decision = only(finished(results=self.FULL, failed_attempts=1))
        assert decision.message.endswith("Attempt 3 of 3 starts in 30 s.")
        assert decision.not_before == later(30)

    def test_the_last_fault(self):
        decision = only(finished(results=self.FULL, failed_attempts=2))
        assert decision.status_code is S.JOB_ERROR
        assert decision.message == (
            "This job returned a fatal error. It was tried 3 times; the last time the disk of the backend is full "
            "(reference ab12)."
        )
        assert decision.not_before is None
        assert decision.failed

    def test_more_attempts_use_the_longest_pause(self):
        policy = RetryPolicy(attempts=6)
        pauses = [policy.pause_after(failed) for failed in range(1, 7)]
        assert pauses == [*(timedelta(seconds=s) for s in (5, 30, 180, 180, 180)), None]

    def test_a_single_attempt(self):
        decision = only(finished(results=self.FULL), retries=RetryPolicy(attempts=1))
        assert "It was tried once;" in decision.message

    def test_the_pause_is_waited_for(self):
        job = active(code=S.WAITING_ON_NEW_TASK, not_before=later(1), failed_attempts=1, attempts=1)
        assert decide(job) == {}
        assert codes(active(code=S.WAITING_ON_NEW_TASK, not_before=NOW, failed_attempts=1)) == {"j1": S.INITIATED}

    def test_a_heartbeat_in_the_pause_keeps_it_and_counts_nothing(self):
        decision = only(active(code=S.WAITING_ON_NEW_TASK, not_before=later(100), updated_at=ago(60)))
        assert (decision.not_before, decision.failed) == (later(100), False)

    def test_pausing_the_backend_meanwhile_keeps_the_pause(self):
        decision = only(active(code=S.WAITING_ON_NEW_TASK, not_before=later(20), failed_attempts=1), flags=PAUSED)
        assert (decision.status_code, decision.not_before) == (S.WAITING_PAUSED, later(20))
        back = only(active(code=S.WAITING_PAUSED, not_before=later(20), failed_attempts=1))
        assert (back.status_code, back.not_before, back.failed) == (S.WAITING_ON_NEW_TASK, later(20), False)
        assert back.message == "Waiting for attempt 2 of 3, which starts at 12:00:20 UTC"

    def test_a_lost_host_is_not_held_against_the_job(self):
        lost = {"error": {"type": "lost"}}
        decision = only(finished(results=lost, failed_attempts=2, attempts=3))
        assert decision.status_code is S.WAITING_ON_REBOOT
        assert decision.message == "Job restarted - waiting for server to reboot"
        assert not decision.failed

    def test_but_not_for_ever(self):
        decision = only(finished(results={"error": {"type": "lost"}}, attempts=10))
        assert decision.status_code is S.JOB_ERROR
        assert "restarted during each of 10 attempts" in decision.message


class TestFaults:
    def test_one_jobs_trouble_does_not_stop_the_others(self):
        decisions = decide(active("poison", weight="heavy"), active("good"))
        assert decisions["good"].status_code is S.INITIATED
        poison = decisions["poison"]
        assert poison.status_code is S.WAITING_ON_NEW_TASK
        assert isinstance(poison.fault, TypeError)
        assert poison.failed
        assert poison.not_before == later(5)
        assert f"(reference {poison.reference}). Attempt 2 of 3 starts in 5 s." in poison.message

    def test_the_exceptions_text_is_not_in_the_message(self):
        decision = fault_decision(active(), ValueError("password=hunter2"), NOW)
        assert "hunter2" not in decision.message
        assert len(decision.reference) == 8

    def test_the_third_is_an_internal_error_with_a_reference(self):
        decision = fault_decision(running(failed_attempts=2), ValueError(), NOW)
        assert (decision.status_code, decision.effect) == (S.INTERNAL_ERROR, Effect.STOP)
        assert decision.message.startswith(f"Internal error (reference {decision.reference}).")

    def test_a_running_attempt_is_left_alone_and_looked_at_later(self):
        decision = only(running(timeout_seconds="long"))
        assert (decision.status_code, decision.effect, decision.not_before) == (S.EXECUTING, Effect.NONE, later(5))
        assert "Try 2 of 3 is in 5 s." in decision.message
        waiting = running(timeout_seconds="long", not_before=later(5), status_message=decision.message)
        assert decide(waiting) == {}

    @pytest.mark.parametrize("poison", [{"timeout_seconds": "long"}, {"weight": "heavy"}])
    def test_a_poisoned_running_job_still_takes_its_room(self, poison):
        jobs = [running("r", **poison), active("a")]
        assert codes(*jobs, capacity=Capacity(1, 1))["a"] is S.WAITING_ON_WORKERS


class TestNextWakeup:
    def test_nothing_is_due(self):
        assert next_wakeup(given(active(), running("r")), NOW) is None

    def test_the_earliest_of_all(self):
        jobs = [
            active("a", S.WAITING_ON_NEW_TASK, not_before=later(50)),
            running("b", started_at=NOW, timeout_seconds=40),
            running("c", lease_expires_at=later(30)),
            running("d", not_before=later(60)),
        ]
        assert next_wakeup(given(*jobs), NOW) == later(30)
        assert next_wakeup(given(*jobs), later(30)) == later(40)
        assert next_wakeup(given(*jobs), later(40)) == later(50)
        assert next_wakeup(given(*jobs), later(50)) == later(60)
        assert next_wakeup(given(*jobs), later(60)) is None

    def test_a_pending_job_has_neither_lease_nor_limit(self):
        assert next_wakeup(given(active(lease_expires_at=later(5), timeout_seconds=5)), NOW) is None

    @pytest.mark.parametrize("poison", [1e308, float("inf"), float("nan"), "soon", -1e300])
    def test_one_jobs_nonsense_does_not_hide_when_others_are_due(self, poison):
        jobs = [running("bad", started_at=NOW, timeout_seconds=poison), running("b", lease_expires_at=later(40))]
        assert next_wakeup(given(*jobs), NOW) == later(40)
        assert {decision.job_id for decision in schedule(given(*jobs), NOW)} <= {"bad"}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (5, "5 s"), (60, "1 min"), (180, "3 min"), (90, "1 min 30 s"), (21600, "6 h"), (3661, "1 h 1 min")],
)
def test_time_in_words(seconds, words):
    assert in_words(timedelta(seconds=seconds)) == words
