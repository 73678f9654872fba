"""What happens to a backend while studies run on it: files that go, pauses, maintenance, reboots, processes away."""

import pytest
from tests.support.admin import manage
from tests.support.waiting import until

YAML = """
version: '5'
actions:
  first:
    run: python:v2 python first.py
    outputs: {highly_sensitive: {rows: output/rows.csv}}
  second:
    run: python:v2 python second.py
    needs: [first]
    outputs: {moderately_sensitive: {table: output/table.csv}}
"""
CHAIN = {
    "project.yaml": YAML,
    "first.py": "open('output/rows.csv', 'w').write('x\\n2\\n')",
    "second.py": "open('output/table.csv', 'w').write(open('output/rows.csv').read())",
}
ONE = """
version: '5'
actions:
  make:
    run: {image} {args}
    outputs: {{highly_sensitive: {{out: output/out.csv}}}}
"""


def codes(jobs) -> dict[str, str]:
    return {name: job["status_code"] for name, job in jobs.items()}


def one(script: str) -> dict[str, str]:
    return {"project.yaml": ONE.format(image="python:v2", args="python make.py"), "make.py": script}


WRITES = "open('output/out.csv', 'w').write('a\\n1\\n')"
WAITS_FOR_A_WORD = f"""
import os, time
print('begun', flush=True)
while not os.path.exists('go'):
    time.sleep(0.05)
{WRITES}
"""


def says_go(site, task_backend: str = "north") -> None:
    """Let the job of WAITS_FOR_A_WORD end: its working folder is the agent's, so we may write there."""
    volumes = site.site.high_privacy(task_backend) / "volumes"
    for workspace in volumes.glob("*/workspace"):
        (workspace / "go").touch()


def executing(jobs) -> bool:
    return all(job["status_code"] == "executing" for job in jobs.values())


# -- inputs


def test_an_input_that_is_gone_names_its_action_and_the_next_request_makes_it_again(site):
    asked, jobs = site.run(CHAIN)
    assert codes(jobs) == {"first": "succeeded", "second": "succeeded"}
    rows = site.high(asked.workspace) / "output/rows.csv"
    rows.unlink()
    _, jobs = site.run(CHAIN, "second", name=asked.workspace)
    assert codes(jobs) == {"second": "dependency_failed"}
    message = jobs["second"]["status_message"]
    assert "action 'first'" in message
    assert "rows.csv" not in message
    assert (site.level4(asked.workspace) / "output/table.csv").exists()
    _, jobs = site.run(CHAIN, "second", name=asked.workspace)
    assert codes(jobs) == {"first": "succeeded", "second": "succeeded"}
    assert rows.read_text() == "x\n2\n"


# -- pauses


@pytest.fixture
def unpaused(site):
    """Whatever a test does, the next one finds the backend open."""
    yield
    manage(site, "pause", "off", "north")
    manage(site, "db_maintenance", "off", "north")


def status_of(site, name: str):
    return next(each for each in site.requests.client.backends().backends if each.slug == name)


def test_a_paused_backend_starts_nothing_and_goes_on_when_it_is_unpaused(site, unpaused):
    running = site.submit(site.request(one(WAITS_FOR_A_WORD)))
    site.wait(running, until=executing)
    assert "[north] paused=true" in manage(site, "pause", "on", "north")
    assert status_of(site, "north").paused.status == "on"
    waiting = site.submit(site.request(one(WRITES)))
    job = site.wait(waiting, until=lambda jobs: jobs["make"]["status_code"] == "paused")["make"]
    assert job["status"] == "pending"
    assert job["status_message"] == (
        "Backend is currently paused for maintenance, job will start once this is completed"
    )
    says_go(site)  # what runs may end
    assert codes(site.wait(running)) == {"make": "succeeded"}
    assert codes(site.jobs(waiting)) == {"make": "paused"}
    # The other backend is not concerned.
    _, jobs = site.run(one(WRITES), backend="south")
    assert codes(jobs) == {"make": "succeeded"}
    manage(site, "pause", "off", "north")
    assert codes(site.wait(waiting)) == {"make": "succeeded"}
    assert status_of(site, "north").paused.status == "off"


def test_database_maintenance_stops_database_actions_alone(site, unpaused):
    manage(site, "db_maintenance", "on", "north")
    seen = status_of(site, "north").db_maintenance
    assert (seen.status, seen.type) == ("on", "manual")
    files = {
        "project.yaml": ONE.format(image="sqlrunner:v1", args="q.sql --output output/out.csv --dummy-data-file d.csv"),
        "q.sql": "SELECT a FROM t",
        "d.csv": "a\n1\n",
    }
    waiting = site.submit(site.request(files))
    job = site.wait(waiting, until=lambda jobs: jobs["make"]["status_code"] == "waiting_db_maintenance")["make"]
    assert (job["status"], job["status_message"]) == ("pending", "Waiting for database to finish maintenance")
    _, jobs = site.run(one(WRITES))
    assert codes(jobs) == {"make": "succeeded"}
    site.requests.client.cancel(waiting, ["make"])
    assert codes(site.wait(waiting)) == {"make": "cancelled_by_user"}


def test_before_a_reboot_jobs_stop_and_afterwards_they_run_again(site, unpaused):
    rap = site.submit(site.request(one(WAITS_FOR_A_WORD)))
    site.wait(rap, until=executing)
    said = manage(site, "prepare_for_reboot", "--backend", "north", "-y")
    assert "pausing backend north..." in said
    job = site.wait(rap, until=lambda jobs: jobs["make"]["status_code"] == "waiting_on_reboot")["make"]
    assert (job["status"], job["status_message"]) == ("pending", "Job restarted - waiting for server to reboot")
    assert job["started_at"] is None
    ready = "Safe to reboot now"
    until(lambda: ready in manage(site, "prepare_for_reboot", "--backend", "north", "--status"), ready, 60)
    manage(site, "pause", "off", "north")
    site.wait(rap, until=executing)
    says_go(site)
    assert codes(site.wait(rap)) == {"make": "succeeded"}


# -- processes away


def process(site, name: str):
    return next(each for each in site.running.processes if each.name == name)


def stop(one_process) -> None:
    """As its service manager does, and without starting it again (which `site.until` would)."""
    one_process.popen.terminate()
    one_process.popen.wait(20)


def ended_inside(site, workspace: str) -> bool:
    """The job's process has come to its last line."""
    return any(True for _ in site.site.high_privacy("north").glob("volumes/*/workspace/output/out.csv"))


def test_a_job_goes_on_without_its_agent_and_is_reported_when_it_is_back(site):
    asked = site.request(one(WAITS_FOR_A_WORD))
    rap = site.submit(asked)
    site.wait(rap, until=executing)
    agent = process(site, "agent north")
    stop(agent)
    says_go(site)
    until(lambda: ended_inside(site, asked.workspace), "the job's last line", 30)
    assert codes(site.jobs(rap)) == {"make": "executing"}
    agent.start()
    assert codes(site.wait(rap)) == {"make": "succeeded"}
    assert (site.high(asked.workspace) / "output/out.csv").read_text() == "a\n1\n"
    assert site.log(asked.workspace, "make").count("begun") == 1


def test_a_job_ends_without_the_controller_and_is_reported_when_it_is_back(site):
    asked = site.request(one(WAITS_FOR_A_WORD))
    rap = site.submit(asked)
    site.wait(rap, until=executing)
    controller = process(site, "controller")
    stop(controller)
    says_go(site)
    # The agent stages the outputs by itself; that anybody sees them needs the controller's word.
    staging = site.site.high_privacy("north") / ".staging"
    until(lambda: list(staging.glob("*-001/*")), "the staged outputs", 30)
    published = site.high(asked.workspace) / "output/out.csv"
    assert not published.exists()
    controller.start()
    site.await_controller()
    assert codes(site.wait(rap)) == {"make": "succeeded"}
    assert published.exists()
    assert site.log(asked.workspace, "make").count("begun") == 1
