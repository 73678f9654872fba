"""`carrel check-outputs` looks at every output that is here, or says what it did not look at."""

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from carrel.cli.outputs import check_outputs
from carrel.units.limits import MAX_POLICY_BYTES

PROJECT = """version: '5'
actions:
  make:
    run: python:v2 python make.py
    outputs:
      moderately_sensitive:
        tables: output/*.csv
        notes: output/*.txt
        figures: output/*.png
"""
PATIENTS = "patient_id,b\n1,2\n"
EXCLUDED = "output/t.csv: would not reach level 4: File has patient_id column\n"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "study"
    (folder / "output").mkdir(parents=True)
    (folder / "project.yaml").write_text(PROJECT)
    monkeypatch.chdir(folder)
    return folder


def check(*arguments: str) -> Result:
    return CliRunner().invoke(check_outputs, arguments, catch_exceptions=False)


def test_a_file_with_a_second_name_elsewhere_is_checked(study: Path, tmp_path: Path) -> None:
    """A backup by hard links, or what `run --debug` leaves."""
    (study / "output" / "t.csv").write_text(PATIENTS)
    os.link(study / "output" / "t.csv", tmp_path / "kept.csv")
    (study / ".carrel").mkdir()
    os.link(study / "output" / "t.csv", study / ".carrel" / "t.csv")
    done = check()
    assert (done.stdout, done.exit_code) == (EXCLUDED, 1)


def test_a_folder_that_is_a_link_is_told(study: Path, tmp_path: Path) -> None:
    (study / "output" / "t.csv").write_text(PATIENTS)
    shutil.move(study / "output", tmp_path / "real")
    (study / "output").symlink_to(tmp_path / "real")
    done = check()
    assert (done.stdout, done.exit_code) == ("output: not looked at: it is a symbolic link\n", 1)


def test_a_file_that_is_no_file_is_told(study: Path) -> None:
    (study / "output" / "t.csv").symlink_to("elsewhere.csv")
    os.mkfifo(study / "output" / "u.csv")
    (study / "unrelated").symlink_to("output")
    done = check()
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "output/t.csv: not looked at: it is a symbolic link",
        "output/u.csv: not looked at: it is a named pipe",
    ]


def test_a_number_without_end_is_one_file_s_matter(study: Path) -> None:
    (study / "output" / "t.csv").write_text("group,n\nA," + "9" * 400 + "\n")
    (study / "output" / "u.csv").write_text("group,n\nA,3\n")
    done = check()
    first, second = done.stdout.splitlines()
    assert first.startswith("output/t.csv:2: n: 999")
    assert first.endswith("...: not rounded to the nearest 5 [not-rounded]")
    assert second == "output/u.csv:2: n: 3: a count of 7 or fewer must be redacted [small-count]"


@pytest.mark.parametrize(
    "text",
    [
        "group;n\nA;3\n",
        "group\tn\nA\t3\n",
        'group,n\nA,3\nB,"1,230"\n',
        "Table 1,\n,\ngroup,n\nA,3\n",
        "# made by x\ngroup,n\nA,3\n",
        "group,n\nA,3 (12%)\n",
        "group,n\nA,3e0\n",
        "group,n\nA,3\nB,n/a\n",
        "group,n\nA,3\nB,[c]\nC,<8\nD,1.5\nE,10\n",
        '"group" "n"\n"A" 3\n',
    ],
)
def test_no_dialect_hides_a_small_count(study: Path, text: str) -> None:
    (study / "output" / "t.csv").write_text(text)
    done = check()
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert line.endswith(": a count of 7 or fewer must be redacted [small-count]")


def test_what_the_rules_could_not_look_at_is_told(study: Path) -> None:
    from tests.support.images import png

    (study / "output" / "notes.txt").write_text("All is well.\n")
    (study / "output" / "figure.png").write_bytes(png())
    (study / "output" / "header.csv").write_text("region,count\n")
    done = check("--html", "report.html")
    assert done.stdout.splitlines() == [
        "output/figure.png: not checked: it is an image; look at the numbers that it shows",
        "output/figure.png: no file with the numbers that it shows is beside it (the same name, as .csv)"
        " [image-without-numbers]",
        "output/header.csv: not checked: it has no rows below a header",
        "output/notes.txt: not checked: it has no table",
    ]
    assert done.exit_code == 1
    assert "not checked: it has no table" in (study / "report.html").read_text()
    (study / "output" / "figure.csv").write_text("region,count\nnorth,10\nsouth,20\n")
    done = check()
    assert done.stdout.splitlines()[0] == "output/figure.csv: nothing found"
    assert done.exit_code == 0
    (study / "output" / "empty.csv").write_text("")
    done = check()
    assert "output/empty.csv: not checked: it is not understood as a table\n" in done.stdout
    assert done.exit_code == 1


def test_columns_that_may_identify_people_are_told(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study / "output" / "t.csv").write_text("NHS no.,trial number,n\nx,y,10\n")
    told = "output/t.csv:1: NHS no.: a column of this name may identify people (nhs_no) [identifier-name]\n"
    assert check().stdout == told
    monkeypatch.setenv("IDENTIFIER_COLUMNS", "staff_number")
    monkeypatch.setenv("IDENTIFIER_COLUMNS_FILE", str(study / "names.txt"))
    (study / "names.txt").write_text("# ours\ntrial_number\n")
    done = check()
    assert done.stdout == told + (
        "output/t.csv:1: trial number: a column of this name may identify people (trial_number) [identifier-name]\n"
    )
    assert done.exit_code == 1


def test_a_list_of_columns_that_is_not_there_is_told(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study / "output" / "t.csv").write_text("n,m\n10,10\n")
    monkeypatch.setenv("IDENTIFIER_COLUMNS_FILE", str(study / "names.txt"))
    done = check()
    assert done.exit_code == 1
    assert done.output == f"IDENTIFIER_COLUMNS_FILE: {study / 'names.txt'} cannot be read: No such file or directory\n"


def test_cells_are_shown_on_one_line(study: Path) -> None:
    (study / "output" / "t.csv").write_text('"n\nof\x1b[31m all",m\n3,10\n')
    done = check()
    assert (
        done.stdout == "output/t.csv:3: n\\nof\\x1b[31m all: 3: a count of 7 or fewer must be redacted [small-count]\n"
    )


def test_thresholds_are_those_of_a_policy_file_and_are_told(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study / "output" / "t.csv").write_text("sex,n\nF,10\nM,20\n")
    policy = study / "policy.yaml"
    policy.write_text("checkers: 2\ndisclosure:\n  smallest_shown: 11\n")
    done = check("--policy", str(policy))
    assert done.stdout == "output/t.csv:2: n: 10: a count of 10 or fewer must be redacted [small-count]\n"
    assert done.stderr.startswith("Rules: 20 rules, ")
    assert "Policy: smallest_shown 11, rounded_to 5, " in done.stderr
    assert check().stdout == "output/t.csv: nothing found\n"
    monkeypatch.setenv("REVIEW_POLICY", str(policy))
    assert check().stdout == done.stdout
    policy.write_text("disclosure:\n  rounded_to: five\n")
    refused = check()
    assert refused.exit_code == 1
    problem = f"{policy}:1: disclosure.rounded_to: must be a whole number from 1 to 1,000"
    assert refused.output == f"The policy cannot be used.\n{problem}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "policy.yaml:"),
        ("- 1\n", "must be a mapping"),
        ("\u00ff".encode("latin-1"), "is not UTF-8 text"),
        ("#" * (MAX_POLICY_BYTES + 1), "is longer than 262144 bytes"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_policy_that_cannot_be_read_is_told(study: Path, text: str | bytes | None, problem: str) -> None:
    (study / "output" / "t.csv").write_text("sex,n\nF,10\n")
    if text is not None:
        (study / "policy.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = check("--policy", str(study / "policy.yaml"))
    assert done.exit_code == 1
    assert problem in done.output
