"""The older link over real HTTP: what a job server asks for is made here, and what becomes of it is told there."""

import json
import re
from datetime import timedelta

import pytest
from tests.controller.link.conftest import identifier
from tests.controller.rap.conftest import PROJECT
from tests.support.controller import results

from carrel.jobs.identifiers import job_id

ONE = identifier(1)


def finish(job, **changes):
    from carrel.controller.models import Task
    from carrel.controller.service import updates
    from carrel.messages.tasks import TaskUpdate

    task = Task.objects.filter(job_id=job, type="runjob").latest("id")
    update = TaskUpdate(task_id=task.task_id, stage="finalized", results=results(**changes), complete=True)
    assert updates.apply_update(task.backend, update).status == 200


def posts(server):
    return [asked.body for asked in server.asked if asked.method == "POST"]


def problem_of(backend="test"):
    from carrel.controller.models import JobServerLink

    return JobServerLink.objects.get(pk=backend).problem


# -- the life of a request


def test_a_requests_whole_life(server, link, ask):
    ask(ONE, "plot")
    assert link.once() == 0.05
    told = server.jobs_of(ONE)
    assert set(told) == {"extract", "model", "plot"}
    assert told["extract"]["identifier"] == job_id(ONE, "extract")
    assert (told["extract"]["status"], told["extract"]["status_code"]) == ("running", "initiated")
    assert (told["plot"]["status"], told["plot"]["completed_at"]) == ("pending", None)
    for action in ("extract", "model", "plot"):
        finish(job_id(ONE, action))
        link.once()
        assert server.jobs_of(ONE)[action]["status"] == "succeeded"
        assert server.jobs_of(ONE)[action]["completed_at"]
    assert server.status(ONE) == "succeeded"
    assert not server.is_active(ONE)
    count = len(posts(server))
    link.once()
    assert len(posts(server)) == count, "the server has the last of it"


def test_jobs_are_told_with_the_contracts_keys(server, link, ask):
    ask(ONE, "extract")
    link.once()
    (posted,) = posts(server)[-1]
    assert ",".join(posted) == (
        "job_request_id,identifier,action,run_command,status,status_code,status_message,"
        "created_at,updated_at,started_at,completed_at,trace_context,metrics,requires_db"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", posted["created_at"])
    assert (posted["job_request_id"], posted["requires_db"], posted["metrics"]) == (ONE, True, {})
    assert set(posted["trace_context"]) == {"traceparent"}


def test_a_status_beyond_the_contracts_list_is_told_as_the_nearest(server, link, ask):
    from carrel.controller import clock
    from carrel.controller.models import Job
    from carrel.controller.service.statuses import change_status
    from carrel.jobs.statuses import StatusCode

    ask(ONE, "extract")
    link.once()
    change_status(Job.objects.get(), StatusCode.TIMED_OUT, "Took too long", now=clock.now(), actor="test")
    link.once()
    told = server.jobs_of(ONE)["extract"]
    assert (told["status"], told["status_code"], told["status_message"]) == (
        "failed",
        "killed_by_admin",
        "Took too long",
    )


def test_a_request_asks_for_all_that_rap_create_could(server, link, ask):
    from carrel.controller.models import Job, Rap

    ask(ONE, "extract", force_run_dependencies=True, analysis_scope={"dataset_permissions": ["ukrr"]}, orgs=["a", "b"])
    link.once()
    rap = Rap.objects.get()
    assert (rap.id, rap.backend, rap.workspace, rap.branch) == (ONE, "test", "ws", "main")
    assert (rap.created_by, rap.project, rap.orgs) == ("alice", "the-project", ["a", "b"])
    assert (rap.force_run_dependencies, rap.codelists_ok, rap.database_name) == (True, True, "default")
    assert Job.objects.get().analysis_scope == {"dataset_permissions": ["ukrr"]}


def test_nothing_is_posted_that_the_server_knows_until_long_after(server, new_link, ask):
    now = [0.0]
    link = new_link(monotonic=lambda: now[0])
    ask(ONE)
    link.once()
    link.once()
    assert len(posts(server)) == 1
    now[0] += 61
    server.jobs.clear()
    link.once()
    assert len(posts(server)) == 2
    assert len(server.jobs_of(ONE)) == 3, "what the server lost it has again"


def test_flags_are_told(server, link, link_env):
    from carrel.controller.service import administration

    administration.pause("test", True, "admin:t")
    link.once()
    flags = json.loads(server.asked[-1].headers["Flags"])
    assert flags["paused"]["v"] == "true"
    assert flags["paused"]["ts"].endswith("Z")


# -- cancelling


def test_cancelled_actions_are_cancelled_once(server, link, ask):
    from carrel.controller.models import Event

    ask(ONE)
    link.once()
    server.cancel(ONE, "plot", "unheard_of", "extract")
    link.once()
    link.once()
    told = server.jobs_of(ONE)
    assert (told["plot"]["status_code"], told["extract"]["status_code"]) == ("cancelled_by_user",) * 2
    assert Event.objects.filter(kind="job.cancel_requested").count() == 2


def test_a_job_that_has_ended_stays_as_it_is(server, link, ask):
    ask(ONE, "extract")
    link.once()
    finish(job_id(ONE, "extract"))
    server.cancel(ONE, "extract")
    link.once()
    assert server.jobs_of(ONE)["extract"]["status"] == "succeeded"


def test_what_is_cancelled_before_it_was_seen_never_starts(server, link, ask):
    from carrel.controller.models import Job

    ask(ONE, "plot")
    server.cancel(ONE, "plot")
    ask(identifier(2), "extract", "plot", workspace={"name": "ws2"})
    server.cancel(identifier(2), "plot")
    link.once()
    assert server.jobs_of(ONE)["__error__"]["status_code"] == "cancelled_by_user"
    assert not server.is_active(ONE)
    assert not Job.objects.filter(rap_id=ONE).exists()
    assert server.jobs_of(identifier(2))["plot"]["status_code"] == "cancelled_by_user"
    assert server.jobs_of(identifier(2))["extract"]["status"] == "running"


# -- refusals, one by one


def test_bad_requests_are_answered_and_stop_no_other(server, link, ask, tmp_path):
    wrong = {
        "branch": {"workspace": {"branch": "nowhere"}},
        "repository": {"workspace": {"repo": str(tmp_path / "missing")}},
        "commit": {"sha": "not a commit"},
        "name": {"workspace": {"name": "no good name"}},
        "longname": {"workspace": {"name": "w" * 300}},
        "database": {"database_name": "secret"},
        "noactions": {"requested_actions": []},
        "action": {"requested_actions": ["unheard_of"]},
        "unstorable": {"created_by": "\0"},
        "surrogate": {"project": "\ud800"},
        "malformed": {"requested_actions": "run_all"},
    }
    for number, changes in enumerate(wrong.values()):
        ask(identifier(number + 10), **changes)
    ask(ONE)
    ask(identifier(2), backend="elsewhere")
    ask(identifier(3), workspace={"name": "ws3"})
    assert link.once() == 0.05
    assert len(server.jobs_of(ONE)) == len(server.jobs_of(identifier(3))) == 3
    assert server.jobs_of(identifier(2)) == {}
    messages = {}
    for number, name in enumerate(wrong):
        (told,) = server.jobs_of(identifier(number + 10)).values()
        assert (told["action"], told["status"], told["status_code"]) == ("__error__", "failed", "job_error")
        assert told["completed_at"]
        assert not server.is_active(identifier(number + 10))
        messages[name] = told["status_message"]
    assert messages["branch"] == "Could not find branch 'nowhere'"
    assert messages["name"].startswith("Invalid workspace name (allowed are")
    assert messages["longname"].startswith("Invalid workspace name (longer")
    assert "'secret' is not one of" in messages["database"]
    assert "$.commit" in messages["commit"]
    assert "non-empty" in messages["noactions"]
    assert messages["unstorable"].endswith("contains characters that are not text")
    assert messages["malformed"].startswith("The request cannot be read: requested_actions")
    assert problem_of() == ""


@pytest.mark.parametrize("bad", ["UPPERCASE1234567", "short", "x" * 101, "a\0b", "", "x/y"])
def test_an_identifier_that_is_none(server, link, ask, bad):
    ask(bad)
    ask(ONE)
    link.once()
    assert len(server.jobs_of(ONE)) == 3
    if bad.isprintable() and 0 < len(bad) <= 100:
        assert server.jobs_of(bad)["__error__"]["status"] == "failed"


def test_stale_codelists_have_their_code(server, link, ask):
    ask(ONE, codelists_ok=False)
    link.once()
    told = server.jobs_of(ONE)["__error__"]
    assert told["status_code"] == "stale_codelists"
    assert told["status_message"] == "Codelists are out of date (required by action extract)"


def test_nothing_to_do_is_a_success(server, link, ask):
    ask(ONE)
    link.once()
    ask(identifier(2), "plot")
    link.once()
    told = server.jobs_of(identifier(2))["__error__"]
    assert (told["status"], told["status_code"]) == ("succeeded", "succeeded")
    assert told["status_message"] == "All requested actions were already scheduled to run"
    assert server.status(identifier(2)) == "succeeded"
    assert len(server.jobs_of(ONE)) == 3


def test_a_refusal_is_not_thought_over_again(server, link, ask, study):
    """It is recorded: an answer that was lost is sent again as it was, whatever has become of the repository."""
    ask(ONE, "unheard_of")
    server.faults.extend(["ok", "lost before"])
    link.once()
    before = posts(server)[-1]
    study.write(PROJECT + "  unheard_of: {run: 'python:v2 python x.py', outputs: {highly_sensitive: {x: x.txt}}}\n")
    link.once()
    assert [job["status_message"] for job in posts(server)[-1]] == [job["status_message"] for job in before]
    assert not server.is_active(ONE)


def test_an_identifier_of_another_clients_request_shows_nothing_of_it(server, link, ask):
    from tests.support.controller import make_jobs

    make_jobs("private", id=ONE, workspace="of-another-client")
    make_jobs("private", id=identifier(2), backend="tpp", workspace="ws")
    ask(ONE)
    ask(identifier(2))
    server.cancel(ONE, "private")
    link.once()
    for number in (ONE, identifier(2)):
        (told,) = server.jobs_of(number).values()
        assert (told["action"], told["status"]) == ("__error__", "failed")
        assert "taken by another request" in told["status_message"]
    from carrel.controller.models import Job

    assert not Job.objects.filter(cancelled=True).exists()


def test_a_request_that_changes_at_the_server_keeps_its_jobs_there(server, link, ask):
    ask(ONE)
    link.once()
    server.requests[ONE]["sha"] = "b" * 40
    link.once()
    assert set(server.jobs_of(ONE)) == {"extract", "model", "plot", "__error__"}
    del server.requests[ONE]["workspace"]["repo"]
    link.once()
    assert set(server.jobs_of(ONE)) == {"extract", "model", "plot", "__error__"}
    assert "cannot be read" in server.jobs_of(ONE)["__error__"]["status_message"]


def test_a_request_that_the_rap_api_made_is_told_here_too(server, link, ask):
    """A job server may use both: the same request is the same request."""
    from carrel.controller import creation
    from carrel.controller.link.intake import create_body
    from carrel.messages.job_requests import ActiveJobRequest
    from carrel.messages.rap import RapCreateRequest

    request = ActiveJobRequest.model_validate(ask(ONE))
    assert creation.create(RapCreateRequest.model_validate(create_body(request))).count == 3
    link.once()
    assert len(server.jobs_of(ONE)) == 3


# -- faults that are not the request's


def test_a_request_that_cannot_be_begun_waits_and_says_so(server, link, ask, monkeypatch):
    from carrel.controller import creation

    whole = creation.create

    def down(request):
        if request.rap_id == ONE:
            raise creation.CreationUnavailable("The git host does not answer")
        return whole(request)

    monkeypatch.setattr(creation, "create", down)
    ask(ONE)
    ask(identifier(2), workspace={"name": "ws2"})
    link.once()
    told = server.jobs_of(ONE)["__error__"]
    assert (told["status"], told["status_code"], told["completed_at"]) == ("pending", "created", None)
    assert told["status_message"] == "Not begun yet, it is tried again: The git host does not answer"
    assert len(server.jobs_of(identifier(2))) == 3
    monkeypatch.setattr(creation, "create", whole)
    link.once()
    assert set(server.jobs_of(ONE)) == {"__error__"}, "it is not tried again at once"
    link._intake._retries.clear()  # the time has come
    link.once()
    assert set(server.jobs_of(ONE)) == {"extract", "model", "plot"}, "the note is gone with the wait"


def test_a_fault_of_ours_names_a_reference_and_nothing_else(server, link, ask, monkeypatch, caplog):
    from carrel.controller import creation

    def broken(request):
        raise RuntimeError("the database password is hunter2")

    monkeypatch.setattr(creation, "create", broken)
    ask(ONE)
    link.once()
    message = server.jobs_of(ONE)["__error__"]["status_message"]
    reference = re.fullmatch(r"Not begun yet, it is tried again: Unknown error \(reference (\w{8})\)", message)
    assert reference
    assert reference[1] in caplog.text


def test_making_jobs_stops_for_statuses_after_a_while(server, link, ask, monkeypatch):
    from carrel.controller.link import intake

    monkeypatch.setattr(intake, "CREATING_SECONDS", -1.0)
    ask(ONE)
    assert link.once() == 0.0, "and goes on at once"
    assert server.jobs_of(ONE) == {}


@pytest.mark.parametrize(
    "fault", ["lost before", "lost after", "half", "html", "500", "503", "302", "detail 403", "400"]
)
@pytest.mark.parametrize("place", [0, 1])
def test_every_failure_is_noted_waited_out_and_made_good(server, link, ask, fault, place):
    from carrel.controller.models import Event, JobServerLink

    ask(ONE)
    server.faults.extend(["ok"] * place + [fault])
    pause = link.once()
    row = JobServerLink.objects.get(pk="test")
    refused_alone = place == 1 and fault in ("500", "400")
    assert row.failures == 1
    assert row.problem
    assert row.problem_since
    assert "test-link" not in row.problem
    if not refused_alone:
        assert pause == pytest.approx(7.0, rel=0.26) if fault == "503" else pause <= 0.05
        assert link.once() == 0.05
        assert set(server.jobs_of(ONE)) == {"extract", "model", "plot"}
        assert JobServerLink.objects.get(pk="test").failures == 0
        assert list(Event.objects.filter(actor="link").order_by("id").values_list("kind", flat=True)) == [
            "link.failed",
            "link.recovered",
        ]


def test_pauses_grow_and_have_an_end(server, link):
    server.faults.extend(["html"] * 20)
    pauses = [link.once() for _ in range(20)]
    assert pauses[5] > pauses[0]
    assert max(pauses) <= 60


def test_an_endless_pause_is_not_kept(server, link, monkeypatch):
    from carrel.clients.job_server import JobServerUnavailable

    def away(flags):
        raise JobServerUnavailable("closed", 1e9)

    monkeypatch.setattr(link._client, "active_requests", away)
    assert link.once() <= 300


def test_one_request_that_the_server_cannot_store_stops_no_other(server, link, ask):
    for number in range(8):
        ask(identifier(number), workspace={"name": f"ws{number}"})
    server.refused_ids = {identifier(3)}
    assert link.once() == 0.05, "nothing is waited for"
    for number in range(8):
        assert len(server.jobs_of(identifier(number))) == (0 if number == 3 else 3)
    assert identifier(3) in problem_of()
    count = len(posts(server))
    link.once()
    assert len(posts(server)) == count, "nor is it asked again at once"
    server.refused_ids = set()
    server.cancel(identifier(3), "plot")
    link.once()
    assert len(server.jobs_of(identifier(3))) == 3
    assert problem_of() == ""


def test_a_server_that_takes_less_at_once_gets_less(server, link, ask):
    for number in range(6):
        ask(identifier(number), workspace={"name": f"ws{number}"})
    server.largest_post = 2500
    link.once()
    assert all(len(server.jobs_of(identifier(number))) == 3 for number in range(6))


def test_a_server_that_refuses_everything_is_left_alone(server, link, ask, monkeypatch):
    from carrel.controller.link import exchange
    from carrel.controller.models import JobServerLink

    monkeypatch.setattr(exchange, "REFUSALS_AT_MOST", 3)
    for number in range(8):
        ask(identifier(number), "unheard_of")
    server.faults.extend(["ok"] + ["500"] * 100)
    link.once()
    assert JobServerLink.objects.get(pk="test").failures == 1
    assert len(posts(server)) == 4


def test_more_than_a_hundred_requests(server, link, ask):
    for number in range(130):
        ask(identifier(number), "unheard_of", workspace={"branch": "nowhere"}, sha="not a commit")
    ask("zzzzzzzzzzzzzzzz")
    link.once()
    assert all(not server.is_active(identifier(number)) for number in range(130))
    assert len(server.jobs_of("zzzzzzzzzzzzzzzz")) == 3


def test_a_page_that_is_missing_keeps_nothing_of_the_others_back(server, link, ask):
    ask(ONE)
    link.once()
    for number in range(100):
        ask(identifier(number + 2), sha="not a commit")
    server.faults.extend(["ok", "html"])
    link.once()
    assert not server.is_active(identifier(50))
    assert "something that is no job server's answer" in problem_of()
    finish(job_id(ONE, "extract"))
    link.once()
    assert server.jobs_of(ONE)["extract"]["status"] == "succeeded"


def test_the_last_of_a_request_is_told_although_nobody_asks_for_it_any_more(server, link, ask, new_link):
    ask(ONE, "extract")
    link.once()
    link.release()
    request = server.requests.pop(ONE)
    finish(job_id(ONE, "extract"))
    server.faults.extend(["ok", "lost before"])
    again = new_link()
    again.once()
    server.requests[ONE] = request
    server.stored[ONE] = "failed"  # not listed, all the same
    server.jobs.clear()
    again.release()
    new_link().once()
    assert server.jobs_of(ONE)["extract"]["status"] == "succeeded"


# -- rows that make no sense


def test_a_row_that_cannot_be_read_is_told_as_far_as_it_can(server, link, ask):
    from django.db import connection

    ask(ONE)
    ask(identifier(2), workspace={"name": "ws2"})
    link.once()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE controller_job SET status_code = 'nonsense' WHERE action = 'plot' AND rap_id = %s", [ONE]
        )
    link.once()
    told = server.jobs_of(ONE)
    assert set(told) == {"extract", "model", "plot"}
    assert "reference" in told["plot"]["status_message"]
    assert len(server.jobs_of(identifier(2))) == 3


# -- one at a time


def test_one_link_of_a_backend_acts_and_another_takes_over(server, new_link, ask, monkeypatch):
    from carrel.controller import clock

    first, second = new_link(), new_link()
    first.once()
    asked = len(server.asked)
    assert second.once() == 0.05
    assert len(server.asked) == asked
    first.release()
    second.once()
    assert len(server.asked) == asked + 1
    first.once()
    assert len(server.asked) == asked + 1
    later = clock.now() + timedelta(seconds=61)
    monkeypatch.setattr(clock, "now", lambda: later)
    first.once()
    assert len(server.asked) == asked + 2, "the second one is gone: its lease is over"


def test_a_lease_of_a_clock_that_was_wrong_counts_for_nothing(server, new_link, monkeypatch):
    from carrel.controller import clock

    now = clock.now()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: now + timedelta(days=400))
        new_link().once()
    asked = len(server.asked)
    new_link().once()
    assert len(server.asked) == asked + 1


def test_the_backends_do_not_see_each_others_requests(server, new_link, ask):
    ask(ONE)
    ask(identifier(2), backend="tpp")
    new_link("tpp").once()
    assert server.jobs_of(ONE) == {}
    assert len(server.jobs_of(identifier(2))) == 3


def test_a_database_that_is_away_is_waited_for(server, link, monkeypatch):
    from django.db import OperationalError

    from carrel.controller.service import links

    def away(*args):
        raise OperationalError("no")

    monkeypatch.setattr(links, "hold", away)
    assert link.once() == 10.0
    monkeypatch.setattr(links, "hold", lambda *args: True)
    monkeypatch.setattr(links, "note", away)
    assert link.once() == 10.0
    monkeypatch.setattr(links, "release", away)
    link.release()
