"""How the demo shows tables: the head, with no cell cut, wherever it is printed."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from carrel.site.demo import TABLE_ROWS, Demo, csv_table, link_toolchains, making_data, print_whole
from carrel.site.layout import SiteError

NAMES = [f"mean_of_a_long_name_{number}" for number in range(12)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "wide.csv"
    rows = [",".join(f"[REDACTED]{line}" for _ in NAMES) for line in range(TABLE_ROWS + 2)]
    path.write_text("\n".join([",".join(NAMES), *rows]) + "\n")
    return path


def printed(path: Path, **how: object) -> str:
    stream = io.StringIO()
    print_whole(csv_table(path), Console(file=stream, **how))
    return stream.getvalue()


def test_a_file_has_no_width(table: Path) -> None:
    text = printed(table)
    assert text.count("[REDACTED]0") == len(NAMES)
    assert [line.count("…") for line in text.splitlines() if "…" in line] == [len(NAMES)]
    assert f"[REDACTED]{TABLE_ROWS}" not in text


def test_a_narrow_terminal_folds_and_cuts_nothing(table: Path) -> None:
    text = printed(table, width=100, force_terminal=True, color_system=None)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.count("…") for line in lines) == len(NAMES)
    assert sum(character == "[" for character in text.replace("\x1b[", "")) == len(NAMES) * TABLE_ROWS


def test_an_empty_table_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    assert csv_table(tmp_path / "empty.csv").row_count == 0


def test_data_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    demo = Demo(tmp_path, executor="bubblewrap")
    nowhere = tmp_path / "no-python"
    with (
        making_data(demo, nowhere, with_archives=False) as made,
        pytest.raises(SiteError, match=r"the example data could not be made:\n(.|\n)*no-python"),
    ):
        made()
    for name in ("north", "south"):
        demo.database(name).parent.mkdir(exist_ok=True)
        demo.database(name).touch()
    with making_data(demo, nowhere, with_archives=False) as made:
        assert made() == ["data        RAND Health Insurance Experiment: north.duckdb, south.duckdb"]


def test_the_demo_names_the_shared_toolchains(tmp_path: Path) -> None:
    demo, store, other = (tmp_path / name for name in ("demo", "store", "other"))
    for folder in (demo, store / "python-v2", other):
        folder.mkdir(parents=True)
    for shared in (other, store, store):
        link_toolchains(demo, shared)
    assert (demo / "toolchains" / "python-v2").is_dir()
