"""The agent killed at each fault point and started again: the same files and the same report as with no kill."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.agents import Site, eventually
from tests.support.task_server import serving

ROOMS = [Path(__file__).parents[2] / "src" / "carrel" / room for room in ("agent", "outputs")]
EXECUTORS = {"executors.process.created"}
FIRST = "mkdir -p output; printf 'a\\n1\\n' > output/kept.csv; printf 'patient_id\\n1\\n' > output/seen.csv"
SECOND = (
    "test -f output/kept.csv || exit 9; printf 'a\\n1\\n2\\n' > output/kept.csv; printf 'n\\n1\\n' > output/seen.csv;"
    " printf 'patient_id,n\\n1,2\\n' > output/hidden.csv; echo made"
)
SPEC = {"output/kept.csv": "highly_sensitive", "output/[hs]*.csv": "moderately_sensitive"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_CHANGING = ("timestamp_ns", "completed_at", "started_at", "job_metrics", "container_metadata")


def _points() -> list[str]:
    found = {
        name
        for room in ROOMS
        for path in room.glob("*.py")
        for name in re.findall(r'point\("([a-z_.]+)"\)', path.read_text())
    }
    assert len(found) > 20
    assert {"publish.committed", "publish.moved"} <= found
    found -= {"publish.undoing", "publish.undone"}  # only where a commit fails: test_publication_hostile kills there
    return [*sorted(found | EXECUTORS), "publish.moved:3", "publish.moved:6", "supervisor.listed:2"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, study: tuple[Path, str]) -> Path:
    """A site on which one job has made outputs."""
    with serving() as server:
        site = Site(tmp_path_factory.mktemp("begun"), server, *study)
        site.start()
        server.add(site.script(FIRST, output_spec=SPEC))
        server.final("job1-001")
        eventually(lambda: not list((site.high / "volumes").glob("job1-*")), what="job1's folder is still there")
        site.stop()
        return site.root


def _run(site: Site, begun: Path, fault: str | None) -> dict:
    """A job that needs the first one's outputs, with the fault; returns its final report."""
    shutil.copytree(begun, site.root, dirs_exist_ok=True)
    faulty = site.start(**({"CARREL_FAULT": fault} if fault else {}))
    site.server.add(site.script(SECOND, job_id="job2", input_job_ids=["job1"], output_spec=SPEC))
    if fault:
        assert faulty.wait(30) == -9, f"{fault} was not reached"
        site.start()
    report = site.server.final("job2-001")
    eventually(lambda: not list((site.high / "volumes").glob("job2-*")), what="job2's folder is still there")
    eventually(lambda: not list((site.high / ".staging").glob("*")), what="a stage is still there")
    assert site.stop() == 0
    assert not [path for path in (site.root / "work" / "executor").iterdir() if not path.name.startswith(".")]
    return report


def _picture(site: Site) -> dict[str, str]:
    """Every file of the store, without what differs from one moment to another."""
    places = [place for place in (site.high, site.medium) for place in place.rglob("*") if place.is_file()]
    return {
        str(path.relative_to(site.root)): _settled(path, str(site.root)) for path in places if path.suffix != ".lock"
    }


def _settled(path: Path, root: str) -> str:
    text = path.read_text().replace(root, "ROOT")
    if path.name == "metadata.json":
        text = json.dumps({key: value for key, value in json.loads(text).items() if key not in _CHANGING})
    text = re.sub(r'"timestamp": [\d.]+', "", text)
    return _MOMENT.sub("MOMENT", text)


def _said(report: dict) -> dict:
    results = {key: value for key, value in report["results"].items() if key not in _CHANGING}
    return {"results": results, "stage": report["stage"], "complete": report["complete"]}


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory, study: tuple[Path, str], begun: Path) -> tuple[dict, dict]:
    with serving() as server:
        site = Site(tmp_path_factory.mktemp("unkilled"), server, *study)
        report = _run(site, begun, None)
        return _picture(site), _said(report)


def test_the_unkilled_run_is_what_it_should_be(unkilled: tuple[dict, dict]) -> None:
    files, said = unkilled
    assert said["results"]["exit_code"] == "0"
    assert said["results"]["has_level4_excluded_files"] is True
    assert files["medium/workspaces/wspace/output/seen.csv"] == "n\n1\n"
    assert "medium/workspaces/wspace/output/seen.csv.txt" not in files
    assert "medium/workspaces/wspace/output/hidden.csv" not in files
    assert "patient_id" in files["medium/workspaces/wspace/output/hidden.csv.txt"]
    assert files["high/workspaces/wspace/output/kept.csv"] == "a\n1\n2\n"


@pytest.mark.parametrize("fault", _points())
def test_a_kill_anywhere_changes_nothing(
    make_site: Callable[..., Site], begun: Path, unkilled: tuple[dict, dict], fault: str
) -> None:
    site = make_site()
    report = _run(site, begun, fault)
    assert _said(report) == unkilled[1]
    assert _picture(site) == unkilled[0]
