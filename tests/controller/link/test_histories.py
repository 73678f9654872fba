"""Whatever happens between a job server and a link, in the end both say the same: a property of random histories."""

import itertools
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.crash_scenario import step
from tests.support.job_server import JobServer, job_server

FINAL = ("succeeded", "failed")
FAULTS = ("lost before", "lost after", "half", "html", "500", "503", "302", "detail 403", "400")
WANTS = (["plot"], ["run_all"], ["extract", "plot"], ["unheard_of"], ["model"])

EVENTS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(WANTS), st.integers(0, 1)),
    st.tuples(st.just("cancel"), st.integers(0, 3), st.sampled_from(["extract", "model", "plot", "unheard_of"])),
    st.tuples(st.just("exchange")),
    st.tuples(st.just("exchange")),
    st.tuples(st.just("work")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("fault"), st.lists(st.sampled_from(("ok", *FAULTS)), min_size=1, max_size=4)),
    st.tuples(st.just("lose"), st.integers(0, 3)),
)
_numbers = itertools.count()


class History:
    """A server, a link that may be replaced at any time, and what has been asked for."""

    def __init__(self, server: JobServer, study: Any, new_link: Callable[[], Any]) -> None:
        self.server, self.study, self.new_link = server, study, new_link
        self.number = next(_numbers)
        self.ids: list[str] = []
        self.regressions: list[tuple[str, str, str]] = []
        take = server.take

        def watched(backend: str, posted: Any) -> tuple[int, Any]:
            before = {key: job["status"] for key, job in server.jobs.items()}
            answer = take(backend, posted)
            for key, job in server.jobs.items():
                if before.get(key) in FINAL and job["status"] != before[key]:
                    self.regressions.append((key, before[key], job["status"]))
            return answer

        server.take = watched  # type: ignore[method-assign]  # looked at as it happens
        self.restart()

    def ask(self, actions: list[str], workspace: int) -> None:
        rap_id = f"h{self.number:07}{len(self.ids):08}"
        self.ids.append(rap_id)
        place = {"repo": str(self.study.path), "name": f"ws{self.number}-{workspace}"}
        self.server.add(rap_id, sha=self.study.commit, requested_actions=list(actions), workspace=place)

    def cancel(self, which: int, action: str) -> None:
        if self.ids:
            self.server.cancel(self.ids[which % len(self.ids)], action)

    def exchange(self) -> None:
        self.link.once()

    def work(self) -> None:
        step()

    def restart(self) -> None:
        """The process was killed, and its lease is over."""
        from carrel.controller.models import JobServerLink

        JobServerLink.objects.update(lease_expires_at=None)
        self.link = self.new_link()

    def fault(self, faults: list[str]) -> None:
        self.server.faults.extend(faults)

    def lose(self, which: int) -> None:
        """The server is restored from an older copy, in which the request is as it was asked."""
        if self.ids:
            rap_id = self.ids[which % len(self.ids)]
            for job in self.server.jobs_of(rap_id).values():
                del self.server.jobs[job["identifier"]]
            self.server.stored[rap_id] = "pending"

    def end(self) -> None:
        """All is well from now on."""
        self.server.faults.clear()
        self.restart()
        for _ in range(100):
            self.exchange()
            if not step() and not any(map(self.server.is_active, self.ids)):
                return
        raise AssertionError(f"still active at the server: {[*filter(self.server.is_active, self.ids)]}")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EVENTS, max_size=14))
def test_both_say_the_same_in_the_end(database, link_env, study, events):
    from carrel.clients.job_server import JobServerClient
    from carrel.controller.link.exchange import Link
    from carrel.controller.models import Job, LinkedRequest, Rap

    with job_server() as server, JobServerClient(server.url, "test-link") as client:
        history = History(server, study, lambda: Link("test", client, repeat_seconds=0))
        for name, *arguments in events:
            getattr(history, name)(*arguments)
        history.end()

    raps = {rap.id: rap for rap in Rap.objects.filter(pk__in=history.ids)}
    for rap_id in history.ids:
        told = {key: job["status_code"] for key, job in ((j["identifier"], j) for j in server.jobs_of(rap_id).values())}
        jobs = dict(Job.objects.filter(rap_id=rap_id).values_list("id", "status_code"))
        if jobs:
            assert told == jobs, "the server has the jobs there are, and their last statuses"
        else:
            (error,) = server.jobs_of(rap_id).values()
            assert error["action"] == "__error__"
            outcome = raps[rap_id].outcome if rap_id in raps else ""
            cancelled = error["status_code"] == "cancelled_by_user"
            assert cancelled or (outcome, error["status"]) in [("error", "failed"), ("nothing_to_do", "succeeded")]
        for action in set(server.requests[rap_id]["cancelled_actions"]) & set(server.jobs_of(rap_id)):
            assert server.jobs_of(rap_id)[action]["status"] in FINAL
    assert not LinkedRequest.objects.filter(settled_at=None).exists()
    assert history.regressions == [], "what has ended at the server stays as it ended"
