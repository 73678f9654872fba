"""Kill whatever changes a warehouse at every step, run it again (or something else first), and find what is found when
nobody was killed. Of a withdrawal also: nothing of who withdrew is in any file."""

import json
import shutil
import signal
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable
from tests.support.forked import Forker
from tests.support.ingest import deliver, state_of
from tests.support.ingest_operations import BROKEN, POLICIES, archive, crowd, take
from tests.support.ingest_tables import cells

from carrel.ingest.cli import ingest
from carrel.ingest.operations.compaction import LOOK_EVERY, MANY
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.operations.withdrawal_requests import requested_withdrawals
from carrel.ingest.store import WarehouseBusy, active_files, coordinator_lock, open_storage
from carrel.ingest.store.ledger import Ledger
from carrel.synthetic import Knobs, generate, write

KNOBS = Knobs(
    seed=21, records=7, participants=2, hz=2, seconds=1, steps=(1, 2), optional_keys=1, reexports=0.5,
    shapes={"self_described": 1, "walking": 1}, faults={"nan": 1, "truncated_zip": 1},
)  # fmt: skip
PERSON = "participant-0001"
"""Has records in several tables, corrected ones, one in quarantine in part and one whole."""

BEGUN = ("ingest.locked", "ingest.begun")
DECIDED = ("ingest.deciding", "ingest.decided", "ingest.table_committed", "ingest.swept", "ingest.done")
BUILDING = (
    "ingest.batches_done", "ingest.part_rewritten", "ingest.file_rewritten", "ingest.deciding", "ingest.decided",
    "ingest.catalog_written", "ingest.columns_added", "ingest.table_committed", "ingest.swept",
)  # fmt: skip
"""Steps of a run that depend on what it changes; tests/crash/test_ingest.py has them all."""


@dataclass(frozen=True)
class Operation:
    """One command: a function of tests.support.ingest_operations. `base`: the warehouse that it begins with."""

    name: str
    base: str
    steps: tuple[str, ...]
    named: dict = field(default_factory=dict)


WITHDRAWAL_STEPS = (
    *BEGUN, "ingest.withdrawal_asked", "ingest.file_rewritten", *DECIDED, "ingest.vacuumed", "ingest.forgotten",
    "ingest.names_forgotten", "ingest.withdrawal_answered",
)  # fmt: skip
OPERATIONS = {
    "withdraw": Operation("withdraw", "whole", WITHDRAWAL_STEPS, {"healthcode": PERSON}),
    "compact": Operation("compact", "whole", (*BEGUN, "ingest.files_merged", *DECIDED)),
    "archive": Operation(
        "archive", "whole",
        (*BEGUN, "ingest.undoable", "ingest.copied", *(step for step in DECIDED if step != "ingest.table_committed")),
    ),
}  # fmt: skip


CHANGES = {
    **{
        f"schemas change: {policy}": Operation("take", "changing", BUILDING, {"mapping": mapping, "batch": 1})
        for policy, mapping in POLICIES.items()
    },
    "replay": Operation("replay", "unmapped", BUILDING),
    "files are streamed": Operation("take", "early", BUILDING, {"streamed": True}),
}  # fmt: skip
ALL = OPERATIONS | CHANGES | {"merge": Operation("take", "crowded", ())}


@pytest.fixture(scope="module")
def forker():
    with Forker("tests.support.ingest_operations") as made:
        yield made


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write(KNOBS, folder)
    return str(folder / "archives")


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    """Archives that change their schema: columns that widen and come anew, another kind, and a correction."""
    folder = tmp_path_factory.mktemp("changing")
    deliver(folder, "1", "one", {"a": 1, "b": 1, "l": [1, 2]})
    deliver(folder, "2", "two", {"a": 2, "b": 2, "l": [3]})
    deliver(folder, "3", "two", {"a": 3, "b": 5, "l": []}, day=2)
    deliver(folder, "4", "three", {"a": 2.5, "new": "column", "m": [{"n": 1}]}, day=2)
    deliver(folder, "5", "four", {"a": 4, "b": "another kind", "l": [True]}, day=2)
    return str(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Archives that come one by one."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(MANY + 1):
        deliver(folder, f"{number:02d}", f"record-{number:02d}", {"a": number, "l": [number]}, day=1 + number)
    return str(folder)


@pytest.fixture(scope="module")
def bases(archives, changing, many, tmp_path_factory):
    """Warehouses to begin with: before the corrections came; with all; with a file that the mapping did not know."""
    folder = tmp_path_factory.mktemp("bases")
    names = sorted(each.name for each in generate(KNOBS))
    early = tuple(name for name in names if not name.endswith("-corrected"))
    take(str(folder / "early"), archives, names=early)
    shutil.copytree(folder / "early", folder / "whole")
    take(str(folder / "whole"), archives, raw_json=True)
    archive(str(folder / "whole"), archives)
    take(str(folder / "unmapped"), archives, mapping=BROKEN)
    take(str(folder / "changing"), changing, names=("1", "2"))
    crowd(str(folder / "crowded"), many)
    return folder


@pytest.fixture(scope="module")
def start(bases):
    """Copy the warehouse that an operation begins with."""
    return lambda name, warehouse: shutil.copytree(bases / ALL[name].base, warehouse)


@pytest.fixture(scope="module")
def do(forker, archives, changing, many):
    """Carry out an operation in a process of its own; its exit code."""

    def do(name, warehouse, **more):
        operation = ALL[name]
        source = {"changing": changing, "crowded": many}.get(operation.base, archives)
        return forker.call(operation.name, str(warehouse), source, **operation.named, **more)

    return do


@pytest.fixture(scope="module")
def quiet(start, do, tmp_path_factory):
    """operation -> (what it comes to when nobody is killed, how often each step is passed), made when asked for."""
    made = {}

    def of(name):
        if name not in made:
            warehouse = tmp_path_factory.mktemp("quiet") / "w"
            points = warehouse.parent / "points"
            start(name, warehouse)
            assert do(name, warehouse, points=points) == 0
            made[name] = everything(warehouse), Counter(points.read_text().split())
        return made[name]

    return of


def everything(warehouse):
    """All that must be equal: tables, ledger with tombstones, quarantine, catalog, copies."""
    lines = Ledger(open_storage(str(warehouse))).lines()
    return {
        **state_of(warehouse),
        "keys": sorted((line.record_key, line.archive_key, line.tombstone or "") for line in lines),
        "copies": copies_of(warehouse),
    }


def copies_of(warehouse):
    """What is kept; two copies of the same are the same, because who was killed may not know that one was made."""
    found = []
    for copy in sorted(warehouse.glob("archive/*")):
        tables = {path.name: DeltaTable(str(path)).to_pyarrow_table() for path in sorted(copy.iterdir())}
        held = {name: table["rows"] for name, table in cells(tables).items()}
        found += [held] if held not in found else []
    return found


def leftovers(warehouse):
    """Data files that no version of their table ever named, scratch, half-written files, notes of what to undo."""
    notes = ("_runs/*/scratch/*", "**/.*.new", "_runs/*/undo.json")
    found = {str(path) for pattern in notes for path in warehouse.glob(pattern)}
    for log in warehouse.glob("**/_delta_log"):
        lines = [json.loads(line) for file in log.glob("*.json") for line in file.read_text().splitlines()]
        named = {urllib.parse.unquote(line["add"]["path"]) for line in lines if "add" in line}
        found |= {str(file) for file in log.parent.glob("*.parquet") if file.name not in named}
    found |= requested_withdrawals(open_storage(str(warehouse)))
    for folder in warehouse.glob("archive/*/*"):
        found |= set() if (folder / "_delta_log").is_dir() else {str(folder)}
    return found


def texts_in(warehouse):
    """By other means than the proof's: name, and every cell or byte as text, of each file."""
    for path in warehouse.rglob("*"):
        if path.suffix == ".parquet":
            rows = pq.read_table(path)
            yield path, str(path) + "\n".join(str(column.to_pylist()) for column in rows.columns)
        elif path.is_file():
            yield path, str(path) + path.read_bytes().decode("latin-1")


@pytest.fixture(scope="module")
def hers():
    """Texts that only who withdraws has: her codes, and what nobody else's rows and archives say."""
    mine, others = set(), set()
    for each in generate(KNOBS):
        told = mine if each.metadata["healthcode"] == PERSON else others
        told |= {each.name, each.metadata["recordid"], each.metadata["healthcode"]}
        told |= {each.metadata["exportedon"].removesuffix("Z"), each.metadata["clientinfo"]}
        told |= set(numbers_of([file.value for file in each.files]))
    return mine - others


def numbers_of(value):
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers_of(each)
    elif isinstance(value, float) and len(repr(value)) > 7:
        yield repr(value)


STEPS = [(name, step) for name, operation in OPERATIONS.items() for step in operation.steps]


def test_what_is_looked_for_is_there_before(bases, hers):
    everywhere = "".join(text for _, text in texts_in(bases / "whole"))
    assert {text for text in hers if text in everywhere} >= {PERSON, *(text for text in hers if "-corrected" in text)}
    assert sum(text in everywhere for text in hers) > 20
    assert {path.parent.name for path in naming(bases / "whole", hers)} >= {"_ledger", "_quarantine", "MotionRecord_v1"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_step_was_forgotten(name, quiet):
    assert set(quiet(name)[1]) == set(OPERATIONS[name].steps)


@pytest.fixture
def kill(start, do, tmp_path):
    """Kill an operation at the `count`-th time it passes a step; the warehouse that it leaves."""

    def kill(name, step, count=1):
        warehouse = tmp_path / f"{step} {count}"
        start(name, warehouse)
        assert do(name, warehouse, kill_at=f"{step}:{count}") == -signal.SIGKILL
        return warehouse

    return kill


@pytest.fixture
def again(do, quiet, hers):
    """Run the operation again, and compare with what it comes to when nobody is killed."""

    def again(name, warehouse, parts=("tables", "ledger", "quarantine", "catalog", "keys", "copies")):
        assert do(name, warehouse) == 0
        found, wanted = everything(warehouse), quiet(name)[0]
        assert {each: found[each] for each in parts} == {each: wanted[each] for each in parts}
        assert leftovers(warehouse) == set()
        if name == "withdraw":
            assert naming(warehouse, hers) == []

    return again


def naming(warehouse, texts):
    return [path for path, text in texts_in(warehouse) if any(each in text for each in texts)]


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_killed_and_run_again_is_as_never_killed(name, step, kill, again):
    again(name, kill(name, step))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), STEPS)
def test_killed_in_the_middle_or_at_the_last_is_the_same(name, step, kill, again, quiet):
    passed = quiet(name)[1][step]
    for count in {(passed + 1) // 2, passed} - {1}:
        again(name, kill(name, step, count))


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_schemas_survive_a_kill_at_every_step(name, kill, again, quiet):
    passed = quiet(name)[1]
    steps = [step for step in BUILDING if passed[step]]
    assert len(steps) > 4
    for step in steps:
        again(name, kill(name, step))


def files_of(warehouse):
    return {path.name: len(active_files(DeltaTable(str(path)))) for path in (warehouse / "tables").iterdir()}


def test_merging_after_a_run_survives_a_kill_at_every_step(kill, again, quiet, many, bases, tmp_path):
    """The second time that a step is passed, it is the merge's. The rows stay, old versions can be read, and a later
    run makes up for it."""
    passed = quiet("merge")[1]
    steps = sorted(step for step, count in passed.items() if count > 1 or step == "ingest.files_merged")
    assert set(steps) >= {
        "ingest.begun",
        "ingest.files_merged",
        "ingest.decided",
        "ingest.table_committed",
        "ingest.done",
    }
    before = {path.name: DeltaTable(str(path)) for path in (bases / "crowded" / "tables").iterdir()}
    for step in steps:
        warehouse = kill("merge", step, passed[step])
        again("merge", warehouse)
        for name, table in before.items():
            then = DeltaTable(str(warehouse / "tables" / name), table.version())
            assert then.to_pyarrow_table().num_rows == table.to_pyarrow_table().num_rows
        if step == "ingest.files_merged":
            assert max(files_of(warehouse).values()) >= MANY
            more = tmp_path / "more"
            shutil.copytree(many, more)
            for number in range(LOOK_EVERY):
                deliver(more, f"more-{number}", f"more-{number}", {"a": number})
                take(str(warehouse), str(more), names=(f"more-{number}",))
            assert max(files_of(warehouse).values()) < MANY


def test_the_changes_pass_every_step(quiet):
    assert {step for name in CHANGES for step in BUILDING if quiet(name)[1][step]} == set(BUILDING)


AFTER = {
    "ingest.withdrawal_asked": "take",
    "ingest.file_rewritten": "compact",
    "ingest.deciding": "archive",
    "ingest.decided": "replay",
    "ingest.table_committed": "take",
    "ingest.vacuumed": "compact",
    "ingest.forgotten": "archive",
    "ingest.done": "take",
}


@pytest.mark.parametrize("step", AFTER)
def test_whatever_writes_next_finishes_a_withdrawal(step, kill, again, forker, archives, hers):
    warehouse = kill("withdraw", step)
    assert requested_withdrawals(open_storage(str(warehouse)))
    assert forker.call(AFTER[step], str(warehouse), archives) == 0
    assert not requested_withdrawals(open_storage(str(warehouse)))
    assert naming(warehouse, hers) == []
    again("withdraw", warehouse, ("tables", "quarantine", "keys"))


def test_a_withdrawal_of_somebody_else_says_what_it_finished(kill, hers):
    warehouse = kill("withdraw", "ingest.withdrawal_asked")
    told = withdraw(str(warehouse), healthcodes=["participant-0000"]).text()
    assert "an interrupted withdrawal of other codes: repeat it for its proof" in told
    assert naming(warehouse, hers) == []
    told = withdraw(str(warehouse), healthcodes=[PERSON]).text()
    assert "other codes" not in told
    assert "That was done before" in told


@pytest.mark.parametrize("step", ["ingest.batches_done", "ingest.decided", "ingest.table_committed"])
def test_a_withdrawal_amid_a_run_that_was_killed(step, kill, do, forker, archives, bases, hers, tmp_path):
    """What had been decided is withdrawn; what had not is never taken when it comes again."""
    warehouse, other = kill("files are streamed", step), tmp_path / "never killed"
    shutil.copytree(bases / "early", other)
    for each in (warehouse, other):
        assert do("withdraw", each) == 0
        assert naming(each, hers) == []
        assert forker.call("take", str(each), archives) == 0
        assert naming(each, hers) == []
    found, wanted = everything(warehouse), everything(other)
    assert {part: found[part] for part in ("tables", "quarantine", "keys")} == {
        part: wanted[part] for part in ("tables", "quarantine", "keys")
    }
    assert leftovers(warehouse) == set()


def test_a_withdrawal_while_another_is_at_it_changes_nothing(bases, tmp_path):
    warehouse = tmp_path / "w"
    shutil.copytree(bases / "whole", warehouse)
    before = {path: path.read_bytes() for path in warehouse.rglob("*") if path.is_file()}
    with coordinator_lock(open_storage(str(warehouse))), pytest.raises(WarehouseBusy):
        withdraw(str(warehouse), healthcodes=[PERSON])
    assert {path: path.read_bytes() for path in warehouse.rglob("*") if path.is_file()} == before


def test_readers_say_that_a_withdrawal_is_not_finished(kill, archives, tmp_path):
    warehouse = kill("withdraw", "ingest.withdrawal_asked")

    def told(*words):
        done = CliRunner().invoke(ingest, [*words, "--warehouse", str(warehouse)])
        return done.exit_code, "A withdrawal is not finished" in done.output

    readers = [("status",), ("tables",), ("sql", "select 1"), ("quarantine", "list"), ("reconcile", archives)]
    assert [told(*words)[1] for words in readers] == [True] * len(readers)
    assert told("export", str(tmp_path / "out")) == (1, True)
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(ingest, ["withdraw", "--healthcode", PERSON, "--yes", "--warehouse", str(warehouse)])
    assert "That was done before" in done.output
    assert [told(*words)[1] for words in readers] == [False] * len(readers)
    assert told("export", str(tmp_path / "out")) == (0, False)
