"""An output is what the job made: not an input, nor a file of the study, that it left as it was."""

import os
from pathlib import Path

import pytest

from carrel.outputs.copies import sha256_of
from carrel.outputs.matching import MatchedOutputs
from carrel.outputs.unchanged_files import highest_level, match_changed_files, note_placed
from carrel.outputs.walk import walk_job

HIGH, MEDIUM = "highly_sensitive", "moderately_sensitive"
ALL = {"output/*": MEDIUM}
OLD_NS = 1_000_000_000 * 10**9


class Job:
    """A job's folder with `code` of the study, and highly sensitive inputs."""

    def __init__(self, root: Path, inputs: dict[str, str], code: dict[str, str], spec: dict[str, str] = ALL) -> None:
        self.root, self.spec = root, spec
        for path, text in {**inputs, **code}.items():
            self.write(path, text)
            os.utime(root / path, ns=(OLD_NS, OLD_NS))
        hashes = {path: sha256_of(root / path) for path in inputs}
        self.placed = note_placed(root, spec, dict.fromkeys(inputs, HIGH), hashes, {})

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def matched(self) -> MatchedOutputs:
        files = walk_job(self.root, lambda path: False).files
        return match_changed_files(self.spec, files, self.placed, self.root, OLD_NS)


def test_an_input_left_as_it_was_is_no_output(tmp_path: Path) -> None:
    job = Job(tmp_path, {"output/people.csv": "pid\n1\n"}, {})
    job.write("output/table.csv", "n\n10\n")
    assert job.matched().outputs == {"output/table.csv": MEDIUM}
    assert job.matched().unchanged == ("output/people.csv",)


def test_an_input_that_was_touched_or_written_anew_with_the_same_contents_is_none_either(tmp_path: Path) -> None:
    job = Job(tmp_path, {"output/a.csv": "pid\n1\n", "output/b.csv": "pid\n2\n", "output/c.csv": "pid\n3\n"}, {})
    os.utime(tmp_path / "output/a.csv")
    (tmp_path / "output/b.csv").unlink()
    job.write("output/b.csv", "pid\n2\n")
    (tmp_path / "output/c.csv").chmod(0o600)
    matched = job.matched()
    assert matched.outputs == {}
    assert matched.unchanged == ("output/a.csv", "output/b.csv", "output/c.csv")
    assert matched.unmatched_patterns == ()


def test_an_input_that_the_job_changed_is_its_output(tmp_path: Path) -> None:
    job = Job(tmp_path, {"output/a.csv": "pid\n1\n"}, {})
    job.write("output/a.csv", "n\n1\n")
    assert job.matched().outputs == {"output/a.csv": MEDIUM}


def test_an_input_of_which_nothing_is_known_keeps_its_level(tmp_path: Path) -> None:
    job = Job(tmp_path, {}, {"output/a.csv": "pid\n1\n"})
    job.placed = note_placed(tmp_path, ALL, {"output/a.csv": HIGH}, {}, {})
    os.utime(tmp_path / "output/a.csv")
    assert job.matched().outputs == {"output/a.csv": HIGH}


def test_an_input_under_another_name_keeps_its_level(tmp_path: Path) -> None:
    job = Job(tmp_path, {"output/a.csv": "pid\n1\n"}, {}, {"results/*": MEDIUM})
    (tmp_path / "output").rename(tmp_path / "results")
    assert job.matched().outputs == {"results/a.csv": HIGH}


@pytest.mark.parametrize("change", ["none", "chmod"])
def test_a_committed_file_left_as_it_was_is_no_output(tmp_path: Path, change: str) -> None:
    job = Job(tmp_path, {}, {"output/t.csv": "a\n10\n"})
    if change == "chmod":
        (tmp_path / "output/t.csv").chmod(0o600)
    assert job.matched().outputs == {}
    assert job.matched().unmatched_patterns == ("output/*",)


def test_a_committed_file_that_the_job_wrote_is_its_output(tmp_path: Path) -> None:
    """Also with the same contents: a study may commit results that come out the same each time."""
    job = Job(tmp_path, {}, {"output/t.csv": "a\n10\n", "output/u.csv": "a\n10\n"})
    job.write("output/t.csv", "a\n10\n")
    (tmp_path / "output/u.csv").unlink()
    job.write("output/u.csv", "a\n10\n")
    os.utime(tmp_path / "output/u.csv", ns=(OLD_NS, OLD_NS))
    assert set(job.matched().outputs) >= {"output/t.csv"}


def test_an_input_that_is_only_shown_is_none_wherever_its_folder_went(tmp_path: Path) -> None:
    """A large input lies over an empty file; the folder above it can be moved, and its name be used again."""
    store = tmp_path / "big.csv"
    store.write_text("pid\n1\n")
    root = tmp_path / "job"
    job = Job(root, {}, {"output/big.csv": ""}, {"moved/*": HIGH, "output/*": MEDIUM})
    job.placed = note_placed(root, job.spec, {"output/big.csv": HIGH}, {}, {"output/big.csv": store})
    assert job.matched().outputs == {}
    (root / "output").rename(root / "moved")
    job.write("output/big.csv", "n\n1\n")
    assert job.matched().outputs == {"output/big.csv": MEDIUM}
    assert job.matched().unchanged == ("moved/big.csv",)


@pytest.mark.parametrize(
    ("levels", "level"),
    [([MEDIUM, HIGH, ""], HIGH), (["minimally_sensitive", MEDIUM], MEDIUM), ([HIGH, "unheard_of"], "unheard_of")],
)
def test_the_highest_level(levels: list[str], level: str) -> None:
    assert highest_level(levels) == level
