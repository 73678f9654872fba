"""What the agent tells of itself: log lines as the contract has them, without secrets, and traces that say little."""

import json
import re

from tests.support.agents import Site, eventually
from tests.support.task_server import TOKEN

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (agnt|mtrc) ")
SECRET = "correct-horse"


def test_log_lines_are_the_contracts_and_hide_secrets(site: Site) -> None:
    """A repository that cannot be read is logged with git's words, which name its address."""
    site.start(PRIVATE_REPO_ACCESS_TOKEN=SECRET)
    site.server.add(site.task(repo_url=f"{site.root}/missing/{SECRET}/{TOKEN}"))
    site.server.final("job1-001")
    lines = [line for line in site.log().splitlines() if not line.startswith("    ")]
    assert [line for line in lines if not LINE.match(line)] == []
    told = next(line for line in lines if "reference" in line)
    assert told.endswith("workspace=wspace action=make id=job1 task=job1-001")
    assert f"{site.root}/missing/" in site.log()
    assert SECRET not in site.log()
    assert TOKEN not in site.log()


def test_logs_as_json(site: Site) -> None:
    site.start(LOG_FORMAT="json")
    eventually(lambda: "Agent of test" in site.log(), what="the first line")
    first = json.loads(site.log().splitlines()[0])
    assert (first["level"], first["process"]) == ("INFO", "agent")


def test_a_level_that_there_is_not_stops_the_start_with_a_sentence(site: Site) -> None:
    assert site.start(LOGLEVEL="LOUD").wait(30) == 1
    assert site.log().startswith("The agent cannot start. LOGLEVEL")


def test_spans_of_the_loop_and_its_tasks(site: Site) -> None:
    site.start(OTEL_EXPORTER_CONSOLE="true")
    site.server.add(site.task())
    site.server.final("job1-001")
    site.server.add({**site.task("job2"), "id": "odd", "type": "nonsense"})
    site.server.final("odd")
    assert site.stop() == 0
    spans = _spans(site.log())
    task = next(span["attributes"] for span in spans if span["name"] == "LOOP_TASK")
    assert (task["backend"], task["task"], task["job"]) == ("test", "job1-001", "job1")
    assert (task["workspace"], task["action"], task["task_type"]) == ("wspace", "make", "runjob")
    errored = [span["attributes"]["errored_tasks"] for span in spans if span["name"] == "AGENT_LOOP"]
    assert max(errored) == 1
    assert min(errored) == 0
    assert {span["resource"]["attributes"]["rap.service"] for span in spans} == {"agent"}


def _spans(text: str) -> list[dict]:
    """The console exporter writes each span as indented JSON among the log lines."""
    found, place = [], 0
    decoder = json.JSONDecoder()
    while (place := text.find("\n{\n", place)) != -1:
        span, place = decoder.raw_decode(text, place + 1)
        found.append(span)
    return found
