"""The example study's own scripts, run by the toolchain's Python on the real data, against numbers worked out here."""

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from tests.examples.conftest import ROOT, rows_of, run_study

from carrel.catalogue.building import build_catalogue
from carrel.project import load_pipeline

STUDY = ROOT / "examples" / "health-insurance"
PERSON_YEARS = 20_190
BACKENDS = ("north", "south")
PLANS = ("free", "25%", "50%", "95-100%")
BANDS = {"0": 0, "1-2": 2, "3-5": 5, "6-10": 10, "11-20": 20, "21-40": 40, "over 40": math.inf}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, toolchain: Path) -> Path:
    folder = tmp_path_factory.mktemp("data")
    load(folder, toolchain)
    return folder


def load(folder: Path, toolchain: Path) -> None:
    script = str(STUDY / "load_data.py")
    subprocess.run([sys.executable, script, str(folder), "--toolchain-python", str(toolchain)], check=True)


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory, toolchain: Path, data: Path) -> dict[str, Path]:
    """The output folder of each backend, all of its actions run in order."""
    found = {}
    for backend in BACKENDS:
        folder = tmp_path_factory.mktemp(backend)
        run_study(STUDY, folder, backend, toolchain, f"duckdb://{data}/{backend}.duckdb")
        found[backend] = folder / "output"
    return found


def people(data: Path, backend: str) -> list[tuple[int, float, int]]:
    """(patient_id, per cent of the bill, visits) of every person-year, straight from the backend's tables."""
    sql = {
        "north": "SELECT patient_id, coinsurance_percent, visits FROM person_years",
        "south": "SELECT patient_id, exp(log_coinsurance) - 1, md_visits FROM visits JOIN patients USING (patient_id)",
    }
    with duckdb.connect(str(data / f"{backend}.duckdb"), read_only=True) as connection:
        return connection.execute(sql[backend]).fetchall()


def plan_of(percent: float) -> str:
    return PLANS[sum(percent > edge + 0.01 for edge in (0, 25, 50))]


def band_of(visits: int) -> str:
    return next(name for name, most in BANDS.items() if visits <= most)


def test_every_person_year_lies_on_one_backend_and_no_patient_on_two(data: Path):
    found = {backend: people(data, backend) for backend in BACKENDS}
    assert sum(len(rows) for rows in found.values()) == PERSON_YEARS
    assert all(len(rows) > PERSON_YEARS * 0.45 for rows in found.values())
    north, south = ({row[0] for row in found[backend]} for backend in BACKENDS)
    assert not north & south
    assert len(north | south) == 5_294
    assert sum(row[2] for rows in found.values() for row in rows) == 57_752  # visits in the whole data set


def test_the_split_is_the_same_each_time(data: Path, toolchain: Path, tmp_path: Path):
    load(tmp_path, toolchain)
    for backend in BACKENDS:
        assert people(tmp_path, backend) == people(data, backend)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["north.duckdb", "south.duckdb"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_table_shows_the_true_counts_redacted_and_rounded(data: Path, outputs: dict[str, Path], backend: str):
    cells: Counter[tuple[str, str]] = Counter()
    who: dict[tuple[str, str], set[int]] = {}
    for patient, percent, visits in people(data, backend):
        cell = plan_of(percent), band_of(visits)
        cells[cell] += 1
        who.setdefault(cell, set()).add(patient)
    table = rows_of(outputs[backend] / "visits_by_plan.csv")
    shown = {(row["plan"], row["visits_a_year"]): row["person_years"] for row in table}
    expected = {
        (plan, band): str(5 * round(cells[plan, band] / 5)) if len(who.get((plan, band), ())) > 7 else "[REDACTED]"
        for plan in PLANS
        for band in BANDS
    }
    totals = {
        (plan, "all shown"): str(sum(int(expected[plan, band]) for band in BANDS if expected[plan, band][0] != "["))
        for plan in PLANS
    }
    assert shown == expected | totals
    assert "[REDACTED]" in shown.values()


@pytest.mark.parametrize("backend", BACKENDS)
def test_percentages_come_from_what_is_shown(outputs: dict[str, Path], backend: str):
    table = rows_of(outputs[backend] / "visits_by_plan.csv")
    totals = {row["plan"]: int(row["person_years"]) for row in table if row["visits_a_year"] == "all shown"}
    for row in table:
        if row["person_years"] == "[REDACTED]":
            assert row["percent"] == "[REDACTED]"
        else:
            percent = 100 * int(row["person_years"]) / totals[row["plan"]]
            assert float(row["percent"]) == pytest.approx(percent, abs=0.051)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_agrees_with_the_score_equations_of_poisson(outputs: dict[str, Path], backend: str):
    """At the maximum of the likelihood, visits foreseen and visits made are equal: in all, and in each plan."""
    terms = {row["term"]: math.log(float(row["rate_ratio"])) for row in rows_of(outputs[backend] / "model.csv")}
    with duckdb.connect() as connection:
        path = outputs[backend] / "person_years.parquet"
        years = connection.execute(
            "SELECT plan::varchar, health::varchar, deductible_plan::int, physical_limitation, "
            f"chronic_diseases, visits FROM '{path}'"
        ).fetchall()
    made, foreseen = Counter[str](), Counter[str]()
    for plan, health, deductible, limited, chronic, visits in years:
        log_rate = terms["Intercept"] + terms.get(f"C(plan)[T.{plan}]", 0) + terms.get(f"C(health)[T.{health}]", 0)
        log_rate += terms["deductible_plan"] * deductible + terms["physical_limitation"] * limited
        made[plan] += visits
        foreseen[plan] += math.exp(log_rate + terms["chronic_diseases"] * chronic)
    for plan in PLANS:
        assert foreseen[plan] == pytest.approx(made[plan], rel=0.003)
    about = json.loads((outputs[backend] / "model.json").read_text())
    assert about["person_years"] == 5 * round(len(years) / 5)
    assert about["degrees_of_freedom"] == about["person_years"] - len(terms)


def test_more_of_the_bill_means_fewer_visits(outputs: dict[str, Path]):
    """What the experiment found, on both backends; the interval does not reach 1."""
    for folder in outputs.values():
        rows = {row["term"]: row for row in rows_of(folder / "model.csv")}
        for plan in PLANS[1:]:
            row = rows[f"C(plan)[T.{plan}]"]
            assert float(row["ci_low"]) < float(row["rate_ratio"]) < float(row["ci_high"]) < 1


def test_the_table_of_south_only(data: Path, outputs: dict[str, Path]):
    assert not (outputs["north"] / "incentives.csv").exists()
    with duckdb.connect(str(data / "south.duckdb"), read_only=True) as connection:
        (count, visits) = connection.execute(
            "SELECT count(*), sum(md_visits) FROM visits JOIN patients USING (patient_id) WHERE log_incentive = 0"
        ).fetchone()
    none = rows_of(outputs["south"] / "incentives.csv")[0]
    assert none["incentive"] == "none"
    assert (int(none["person_years"]), int(none["visits"])) == (5 * round(count / 5), 5 * round(visits / 5))
    assert float(none["visits_a_year"]) == pytest.approx(visits / count, abs=0.02)


def test_small_counts_are_suppressed_by_people_not_by_rows(toolchain: Path):
    code = (
        "import pandas as pd; from disclosure import safe_counts;"
        "print(safe_counts(pd.Series([0, 7, 8, 100, 12, 13]), pd.Series([0, 7, 8, 7, 8, 13])).tolist())"
    )
    done = subprocess.run([toolchain, "-c", code], cwd=STUDY / "analysis", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[<NA>, <NA>, 10, <NA>, 10, 15]"


def test_the_same_run_gives_the_same_bytes(tmp_path: Path, toolchain: Path, data: Path, outputs: dict[str, Path]):
    run_study(STUDY, tmp_path, "south", toolchain, f"duckdb://{data}/south.duckdb")
    for path in sorted(outputs["south"].iterdir()):
        assert (tmp_path / "output" / path.name).read_bytes() == path.read_bytes(), path.name
    figure = (outputs["south"] / "visits_by_plan.svg").read_text()
    assert "<dc:date>" not in figure
    assert "visits to a doctor in the year" in figure


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_dummy_data_with_no_database(tmp_path: Path, toolchain: Path, backend: str, outputs: dict[str, Path]):
    run_study(STUDY, tmp_path, backend, toolchain)
    made = sorted(path.name for path in (tmp_path / "output").iterdir())
    assert made == sorted(path.name for path in outputs[backend].iterdir())


def test_only_tables_of_groups_are_moderately_sensitive(outputs: dict[str, Path]):
    for backend in BACKENDS:
        pipeline = load_pipeline((STUDY / "project.yaml").read_text()).for_backend(backend)
        declared = [action.outputs.moderately_sensitive or {} for action in pipeline.actions.values()]
        for name in (path for level in declared for path in level.values()):
            text = (outputs[backend].parent / name).read_text()
            assert "patient_id" not in text or "clustered on patient_id" in text
            assert len(text.splitlines()) < 5_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_notes_on_the_data_say_something_of_every_column(data: Path, backend: str) -> None:
    urls = {"default": f"duckdb://{data}/{backend}.duckdb"}
    catalogue, warnings = build_catalogue(backend, urls, [STUDY / "catalogue-notes.yaml"])
    assert warnings == []
    (data_set,) = catalogue.databases[0].data_sets
    assert data_set.title.startswith("RAND Health Insurance Experiment")
    assert all(column.description for table in data_set.tables for column in table.columns)
