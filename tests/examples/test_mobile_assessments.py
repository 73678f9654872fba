"""The example on archives: what it makes of the warehouses, against numbers worked out from the archives themselves."""

import hashlib
import json
import statistics
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.examples.conftest import ROOT, rows_of, run_study

from carrel.catalogue.building import build_catalogue
from carrel.catalogue.runnable import runnable
from carrel.project import load_pipeline

STUDY = ROOT / "examples" / "mobile-assessments"
BACKENDS = ("north", "south")
REDACTED = "[REDACTED]"


def make(folder: Path) -> str:
    done = subprocess.run([sys.executable, str(STUDY / "make_data.py"), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mobile")
    assert make(folder).count(" archives, ") == 2
    return folder


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory, toolchain: Path, data: Path) -> dict[str, Path]:
    """The output folder of each backend, all of its actions run in order."""
    found = {}
    for backend in BACKENDS:
        folder = tmp_path_factory.mktemp(f"mobile-{backend}")
        run_study(STUDY, folder, backend, toolchain, f"delta://{data}/warehouses/{backend}")
        found[backend] = folder / "output"
    return found


def archives(data: Path, backend: str) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """(record's metadata, JSON of each file) of every archive."""
    for path in sorted((data / "archives" / backend).glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            yield (
                json.loads(path.with_suffix(".json").read_text()),
                {name: json.loads(archive.read(name)) for name in archive.namelist()},
            )


def session(metadata: dict[str, str], files: dict[str, Any]) -> tuple[Any, ...]:
    """What sessions.sql says of one record, worked out from its files."""
    about = files["metadata.json"]
    samples = [each for name in ("left_tapping", "right_tapping") for each in files.get(name, {}).get("samples", [])]
    task = files.get("taskData.json", {})
    answers = [step["responseTime"] for step in task.get("steps", []) if step.get("responseTime") is not None]
    times = [each["duration"] for each in samples] or answers
    moves = [
        row["x"] ** 2 + row["y"] ** 2 + row["z"] ** 2
        for name, rows in files.items()
        if name.endswith("motion.json")
        for row in rows
        if str(row.get("sensorType")).startswith("acceler")
    ]
    return (
        metadata["healthcode"],
        metadata["assessmentid"],
        "Android" if about["deviceInfo"].startswith("Android") else "iOS",
        int(about["appVersion"].split("(")[1].rstrip(")")),
        statistics.median(times) if times else None,
        len(samples) or task.get("scores", {}).get("finalTheta"),
        (sum(moves) / len(moves)) ** 0.5 if moves else None,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_extract_is_what_the_archives_say(data: Path, outputs: dict[str, Path], backend: str):
    rows = pq.read_table(outputs[backend] / "sessions.parquet").to_pylist()
    found = {row["session_id"]: row for row in rows}
    assert len(found) == len(rows)
    for metadata, files in archives(data, backend):
        row = found.pop(metadata["recordid"])
        del row["session_id"]
        expected = session(metadata, files)
        assert tuple(row.values())[:4] == expected[:4]
        for value, wanted in zip(tuple(row.values())[4:], expected[4:], strict=True):
            assert value == (wanted if wanted is None else pytest.approx(wanted, abs=0.00006)), metadata
    assert found == {}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_table_shows_groups_of_more_than_seven_people(outputs: dict[str, Path], backend: str):
    groups: dict[tuple[str, ...], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in pq.read_table(outputs[backend] / "sessions.parquet").to_pylist():
        key = (row["assessment"], row["system"], str(row["app_version"]))
        groups[key][row["participant_id"]].append(row)
    table = rows_of(outputs[backend] / "by_assessment.csv")
    assert len(table) == len(groups) == 12
    for line in table:
        people = groups[line["assessment"], line["system"], line["app_version"]]
        sessions = sum(map(len, people.values()))
        shown = len(people) > 7
        assert line["people"] == (str(5 * round(len(people) / 5)) if shown else REDACTED)
        assert line["sessions"] == (str(5 * round(sessions / 5)) if shown else REDACTED)
        for measure in ("reaction_seconds", "score", "acceleration"):
            of_each = [[row[measure] for row in rows if row[measure] is not None] for rows in people.values()]
            means = [statistics.fmean(values) for values in of_each if values]
            cell = line[f"mean_{measure}"]
            assert (cell == REDACTED) == (len(means) <= 7), line
            assert cell == REDACTED or float(cell) == pytest.approx(statistics.fmean(means), abs=0.0051)


def test_three_assessments_two_versions_two_systems_and_both_outcomes_are_there(outputs: dict[str, Path]):
    lines = [line for backend in BACKENDS for line in rows_of(outputs[backend] / "by_assessment.csv")]
    assert {line["assessment"] for line in lines} == {"finger-tapping", "reading", "verbal-reasoning"}
    assert {(line["system"], line["app_version"]) for line in lines} == {
        (system, version) for system in ("Android", "iOS") for version in ("73", "81")
    }
    assert {line["people"] == REDACTED for line in lines} == {True, False}


def test_motion_is_there_at_100_hz_and_both_hands_are_kept(data: Path):
    motion = DeltaTable(str(data / "warehouses/north/tables/Motion_v1")).to_pyarrow_table()
    rows = [row for row in motion.to_pylist() if row["sensorType"] == "gyro"]
    record = next(row["recordid"] for row in rows if row["_source_file"] == "left_motion.json")
    hands = {name: [row["timestamp"] for row in rows if (row["recordid"], row["_source_file"]) == (record, name)]
             for name in ("left_motion.json", "right_motion.json")}  # fmt: skip
    for stamps in hands.values():
        assert sorted(stamps) == pytest.approx([(number + 1) / 100 for number in range(400)])


def test_each_person_is_on_one_backend_and_all_is_taken_once(data: Path):
    people = {backend: {metadata["healthcode"] for metadata, _ in archives(data, backend)} for backend in BACKENDS}
    assert people["north"].isdisjoint(people["south"])
    versions = {backend: tables(data, backend) for backend in BACKENDS}
    assert make(data).count("nothing new") == 2
    assert {backend: tables(data, backend) for backend in BACKENDS} == versions
    assert not (data / "warehouses/north/_quarantine").exists()


def tables(data: Path, backend: str) -> dict[str, int]:
    folders = (data / "warehouses" / backend / "tables").iterdir()
    return {path.name: DeltaTable(str(path)).version() for path in folders}


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, toolchain: Path, data: Path, outputs: dict[str, Path]):
    run_study(STUDY, tmp_path, "south", toolchain, f"delta://{data}/warehouses/south")
    for path in sorted(outputs["south"].iterdir()):
        digests = {hashlib.sha256(each.read_bytes()).digest() for each in (path, tmp_path / "output" / path.name)}
        assert len(digests) == 1, path.name


def test_on_dummy_data_with_no_database(tmp_path: Path, toolchain: Path):
    run_study(STUDY, tmp_path, "north", toolchain)
    assert len(rows_of(tmp_path / "output/by_assessment.csv")) == 12
    assert "Reaction times by assessment" in (tmp_path / "output/reaction_times.svg").read_text()


def test_only_groups_are_moderately_sensitive(outputs: dict[str, Path]):
    pipeline = load_pipeline((STUDY / "project.yaml").read_text()).for_backend("north")
    declared = [action.outputs.moderately_sensitive or {} for action in pipeline.actions.values()]
    names = [path for level in declared for path in level.values()]
    assert sorted(names) == ["output/by_assessment.csv", "output/reaction_times.svg"]
    for backend in BACKENDS:
        for name in names:
            assert "participant-" not in (outputs[backend].parent / name).read_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_notes_on_the_data_say_something_of_every_column(data: Path, backend: str) -> None:
    urls = {"mobile": f"delta://{data}/warehouses/{backend}"}
    catalogue, warnings = build_catalogue(backend, urls, [STUDY / "catalogue-notes.yaml"])
    assert warnings == []
    tables = list(catalogue.databases[0].tables)
    assert {table.name for table in tables if not table.description} == set()
    assert {column.name for table in tables for column in table.columns if not column.description} == set()


def test_the_study_finds_its_data_by_the_catalogues(data: Path) -> None:
    urls = {backend: {"mobile": f"delta://{data}/warehouses/{backend}"} for backend in BACKENDS}
    catalogues = {backend: build_catalogue(backend, urls[backend])[0] for backend in BACKENDS}
    pipeline = load_pipeline((STUDY / "project.yaml").read_text())
    checks = runnable(pipeline, lambda name: (STUDY / name).read_text(), catalogues, database="mobile")
    assert {check.state.value for check in checks.values()} == {"ok"}
    assert len(checks) == len(BACKENDS) * len(pipeline.actions)
