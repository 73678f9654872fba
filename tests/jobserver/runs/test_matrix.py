"""The matrix as values: which cell can be ticked, why not, and that nothing crosses from one backend to another."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.catalogue.reading import Missing
from carrel.catalogue.runnable import DataCheck, DataState
from carrel.jobserver.rights.running import RunRefusal
from carrel.jobserver.runs.changes import SinceChange
from carrel.jobserver.runs.matrix import BackendColumn, matrix, memory_words, refusal_of_cell
from carrel.jobserver.runs.preview import Wish, plans_of, preview
from carrel.jobserver.runs.states import ActionState
from carrel.project import load_pipeline

START = datetime(2026, 5, 3, 9, 0, tzinfo=UTC)
PIPELINE = load_pipeline(
    """
version: '5'
run_on: [north, south, west]
actions:
  extract:
    run: sqlrunner:v1 extract.sql --output out/extract.csv
    outputs: {highly_sensitive: {rows: out/extract.csv}}
  normalise:
    needs: [extract]
    run: python:v2 python normalise.py
    outputs: {highly_sensitive: {rows: out/normalised.csv}}
    resources: {memory: 8G}
  incentives:
    run_on: [south]
    needs: [normalise]
    run: python:v2 python incentives.py
    outputs: {moderately_sensitive: {table: out/incentives.csv}}
  figure:
    run_on: {exclude: [west]}
    needs: [normalise]
    run: python:v2 python figure.py
    outputs: {moderately_sensitive: {image: out/figure.svg}}
"""
)
BACKENDS = ("north", "south", "west")


def column(slug: str, refusal: RunRefusal | None = None) -> BackendColumn:
    return BackendColumn(slug=slug, name=slug.title(), pipeline=PIPELINE.for_backend(slug), refusal=refusal)


COLUMNS = tuple(map(column, BACKENDS))


def state(backend: str, action: str, status: str = "succeeded", **fields) -> ActionState:
    values = {
        "identifier": f"{backend}-{action}",
        "rap_id": "r",
        "run_id": 1,
        "status_code": status if status == "succeeded" else "nonzero_exit",
        "status_message": "",
        "run_command": "",
        "commit": "a" * 40,
        "created_at": START,
        "started_at": START,
        "completed_at": START + timedelta(minutes=4),
        **fields,
    }
    return ActionState(backend=backend, action=action, status=status, **values)


def cells(action: str, **options):
    row = next(row for row in matrix(PIPELINE, COLUMNS, {}, **options) if row.action == action)
    return dict(zip(BACKENDS, row.cells, strict=True))


def test_rows_are_in_the_files_order_with_what_there_is_to_know():
    rows = matrix(PIPELINE, COLUMNS, {})
    assert [row.action for row in rows] == ["extract", "normalise", "incentives", "figure"]
    assert [row.traits for row in rows] == [("database",), ("8 GB",), (), ()]
    assert [row.needs for row in rows] == [(), ("extract",), ("normalise",), ("normalise",)]


def test_where_an_action_does_not_exist_the_cell_says_where_it_does():
    assert cells("incentives")["north"].refusal.short == "only on South"
    assert cells("incentives")["south"].refusal is None
    assert cells("figure")["west"].refusal.short == "only on North and South"
    many = tuple(replace(column("north"), slug=f"n{number}", name=f"n{number}") for number in range(4))
    row = matrix(PIPELINE, (*many, column("west")), {})[3]
    assert row.cells[-1].refusal.short == "not on West"
    assert "n0 and n1 and n2 and n3 only" in row.cells[-1].refusal.reason


def test_a_refusal_of_the_backend_holds_for_all_of_its_cells():
    refusal = RunRefusal("not a member", "You are not a member of North.")
    rows = matrix(PIPELINE, (column("north", refusal), column("south")), {})
    assert rows[0].cells[0].refusal == refusal
    assert rows[0].cells[1].refusal is None
    assert rows[2].cells[0].refusal.short == "only on South"


@pytest.mark.parametrize(
    ("check", "short", "reason"),
    [
        (DataCheck(state=DataState.OK), None, None),
        (DataCheck(state=DataState.NOT_CHECKED, reasons=("no catalogue",)), None, None),
        (
            DataCheck(state=DataState.MISSING, missing=(Missing("column", "sgss_status", ("tests",)),)),
            "no sgss_status",
            "South has no `sgss_status` in tests.",
        ),
        (
            DataCheck(state=DataState.BLOCKED, needs="extract"),
            "needs extract",
            "It needs `extract`, which cannot run on South.",
        ),
    ],
)
def test_only_data_that_is_certainly_missing_disables(check, short, reason):
    refusal = refusal_of_cell(column("south"), "normalise", check)
    assert (refusal.short if refusal else None) == short
    if reason:
        assert refusal.reason.replace("`tests`", "tests") == reason


def test_what_links_tick():
    states = {
        ("north", "extract"): state("north", "extract", "failed"),
        ("south", "extract"): state("south", "extract"),
    }
    changes = {("south", "extract"): SinceChange("code changed", "a.py")}
    row = matrix(PIPELINE, COLUMNS, states, changes=changes)[0]
    assert [cell.traits for cell in row.cells] == ["failed", "changed", "never_ran"]
    assert [cell.note for cell in row.cells] == ["", "code changed", ""]


def test_amounts_of_memory():
    assert memory_words("8G", 8 * 2**30) == "8 GB"
    assert memory_words("512m", 512 * 2**20) == "512 MB"
    assert memory_words("", 2_000_000_000) == "2.0 GB"


# -- nothing of one backend ever shows under another

actions = st.sampled_from(list(PIPELINE.actions))
statuses = st.sampled_from(["succeeded", "failed", "running", "pending", "mystery"])
some_states = st.dictionaries(st.tuples(st.sampled_from(BACKENDS), actions), statuses, max_size=12)
wishes = st.dictionaries(st.sampled_from(BACKENDS), st.tuples(st.frozensets(actions), st.booleans()))


def everything_shown(slug: str, jobs: dict, wanted: dict) -> tuple:
    """All that the page shows of one backend: its cells, its part of the preview."""
    states = {cell: state(*cell, status) for cell, status in jobs.items()}
    latest = {name: {} for name in BACKENDS}
    for (name, action), row in states.items():
        if job := row.as_latest():
            latest[name][action] = job
    took = dict.fromkeys(states, 60.0)
    asked = {name: Wish(actions=tuple(sorted(names)), force=force) for name, (names, force) in wanted.items()}
    index = BACKENDS.index(slug)
    plans = plans_of(COLUMNS, asked, latest)
    seen = preview(COLUMNS, plans, today=START.date(), seconds=took)
    return tuple(row.cells[index] for row in matrix(PIPELINE, COLUMNS, states)), seen.backends[index]


@given(slug=st.sampled_from(BACKENDS), jobs=some_states, others=some_states, wanted=wishes, other_wishes=wishes)
def test_nothing_of_one_backend_ever_shows_under_another(slug, jobs, others, wanted, other_wishes):
    own = {cell: status for cell, status in jobs.items() if cell[0] == slug}
    elsewhere = {cell: status for cell, status in others.items() if cell[0] != slug}
    own_wishes = {name: wish for name, wish in wanted.items() if name == slug}
    wishes_elsewhere = {name: wish for name, wish in other_wishes.items() if name != slug}
    assert everything_shown(slug, own, own_wishes) == everything_shown(
        slug, {**own, **elsewhere}, {**own_wishes, **wishes_elsewhere}
    )


@given(jobs=some_states)
def test_a_cell_tells_of_the_job_of_its_own_backend_and_action(jobs):
    states = {cell: state(*cell, status) for cell, status in jobs.items()}
    for row in matrix(PIPELINE, COLUMNS, states):
        for cell in row.cells:
            assert cell.state == states.get((cell.backend, cell.action))
            assert cell.state is None or (cell.state.backend, cell.state.action) == (cell.backend, row.action)
