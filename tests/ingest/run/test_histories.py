"""Whatever happens to a warehouse, in whatever order, with kills between: its tables are what the ground truth says."""

import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.forked import Forker
from tests.support.ingest import quarantined, tables_of
from tests.support.ingest_tables import cells, of_truth

from carrel.ingest.values import Disposition
from carrel.synthetic import Knobs, generate, write
from carrel.synthetic.study import DECLARED, _common, table_value
from carrel.synthetic.truth import Tables

KNOBS = Knobs(
    seed=4, records=6, participants=2, hz=2, seconds=1, steps=(1, 2), reexports=0.7, nulls=0.3, int_noise=0.5,
    shapes={"self_described": 1, "tapping": 1}, faults={"nan": 1, "truncated_zip": 1},
)  # fmt: skip
MADE = {each.name: each for each in generate(KNOBS)}
PEOPLE = sorted({each.metadata["healthcode"] for each in MADE.values()})

runs = st.tuples(st.just("take"), st.lists(st.sampled_from(sorted(MADE)), min_size=1, unique=True))
others = st.tuples(st.sampled_from(["replay", "compact", "archive"]), st.none())
withdrawals = st.tuples(st.just("withdraw"), st.sampled_from(PEOPLE))
kills = st.integers(0, 40)
"""After so many fault points; 0, or more than there are: never."""
histories = st.lists(st.tuples(st.one_of(runs, runs, runs, others, withdrawals), kills), min_size=2, max_size=5)


class Model:
    """What should be there: the latest export of each record that was delivered, of people who have not withdrawn."""

    def __init__(self):
        self.seen = []
        """Every archive that ever was in the tables: columns and their types stay when rows go."""
        self.current = {}
        self.faulty = {}
        self.withdrawn = set()

    def take(self, names):
        for name in sorted(names, key=lambda each: MADE[each].metadata["exportedon"]):
            made = MADE[name]
            record = made.metadata["recordid"]
            latest = self.current.get(record)
            if made.metadata["healthcode"] in self.withdrawn:
                continue
            if made.quarantine:
                self.faulty[name] = [list(line) for line in made.quarantine]
            is_late = latest and MADE[latest].metadata["exportedon"] > made.metadata["exportedon"]
            if made.disposition in (Disposition.INGESTED, Disposition.PARTIAL) and not is_late:
                self.current[record] = name
                self.seen.append(name)

    def withdraw(self, person):
        self.withdrawn.add(person)
        self.current = {record: name for record, name in self.current.items() if person_of(name) != person}
        self.faulty = {name: lines for name, lines in self.faulty.items() if person_of(name) != person}

    def tables(self):
        """By the truth's own code, each row with the archive that it is of."""
        grown = Tables(DECLARED)
        for name in dict.fromkeys(self.seen):
            made = MADE[name]
            for file in made.files:
                if file.dataset:
                    common = {**_common(file, made.metadata), "archive": name}
                    grown.add(file.dataset, table_value(file, made.metadata), common)
        rows = {table: about["rows"] for table, about in grown.finish().items()}
        now = {
            table: [row for row in each if row.pop("archive") in self.current.values()] for table, each in rows.items()
        }
        return {table: {"columns": {}, "rows": each} for table, each in now.items() if each}


def person_of(name):
    return MADE[name].metadata["healthcode"]


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Do something to a warehouse, in a process of its own."""
    folder = tmp_path_factory.mktemp("study")
    write(KNOBS, folder)
    with Forker("tests.support.ingest_operations") as forker:
        yield lambda name, warehouse, **more: forker.call(name, warehouse, str(folder / "archives"), **more)


@settings(max_examples=8, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories)
def test_tables_are_what_the_truth_says_after_any_history(call, history):
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        for (name, what), kill_after in history:
            named = {"take": {"names": what}, "withdraw": {"healthcode": what}}.get(name, {})
            code = call(name, folder, kill_after=kill_after, **named)
            assert code in (0, -signal.SIGKILL)
            if code:
                assert call(name, folder, **named) == 0
            if name in ("take", "withdraw"):
                getattr(model, name)(what)
        got, wanted = cells(tables_of(Path(folder))), of_truth(model.tables())
        assert {table: about["rows"] for table, about in got.items()} == {
            table: about["rows"] for table, about in wanted.items()
        }
        assert quarantined(Path(folder)) == model.faulty
