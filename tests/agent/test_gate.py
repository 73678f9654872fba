"""The level 4 gate: the contract's reasons word for word, and closed to whatever cannot be checked."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from carrel.agent.contents import is_identifier
from carrel.agent.csvshape import Shape, csv_shape
from carrel.agent.gate import GateLimits, check_file

PATIENT = "File has patient_id column"


def _check(tmp_path: Path, name: str, data: bytes | str, **limits: object) -> str | None:
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    found = check_file(tmp_path, name, GateLimits(**limits))
    return found.reason if found else None


def test_an_aggregate_passes(tmp_path: Path) -> None:
    assert _check(tmp_path, "t.csv", "region,count\nNorth,10\n") is None


def test_the_contracts_reasons(tmp_path: Path) -> None:
    assert _check(tmp_path, "t.csv", "patient_id,n\n1,2\n") == PATIENT
    assert _check(tmp_path, "t.rds", "x") == "File type of .rds is not valid level 4 file"
    assert _check(tmp_path, "t.csv", "n\n" + "1\n" * 11, max_csv_rows=10) == (
        "File row count (11) exceeds maximum allowed rows (10)"
    )
    assert _check(tmp_path, "t.csv", "patient_id\n" + "1\n" * 11, max_csv_rows=10) == (
        PATIENT + ",File row count (11) exceeds maximum allowed rows (10)"
    )


def test_a_csv_of_17_mb_is_refused_for_its_size(tmp_path: Path) -> None:
    assert _check(tmp_path, "t.csv", b"n\n" + b"1\n" * (17 * 512 * 1024 - 1)) == (
        "File size of 17.0Mb is larger that limit of 16.0Mb."
    )


def test_size_comes_before_type(tmp_path: Path) -> None:
    assert "File size" in str(_check(tmp_path, "t.rds", "xxxx", max_filesize=3))


def test_a_huge_sparse_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("wb") as stream:
        stream.truncate(1 << 40)
    found = check_file(tmp_path, "t.csv", GateLimits())
    assert found is not None
    assert found.reason.startswith("File size of 1048576.0Mb")


@pytest.mark.parametrize(
    "text",
    [
        "Patient_ID,n\n1,2\n",
        " patient_id ,n\n1,2\n",
        '"patient_id",n\n1,2\n',
        "'patient_id',n\n1,2\n",
        "\ufeffpatient_id,n\n1,2\n",
        "patient id,n\n1,2\n",
        "PatientId,n\n1,2\n",
        "patient_id;n\n1;2\n",
        "patient_id\tn\n1\t2\n",
        "A title\n\npatient_id,n\n1,2\n",
        '"patient_id,n\n1,2\n3,4"\n',
        "n,patient_id\r1,2\r",
    ],
)
def test_patient_id_is_found_in_any_dress(tmp_path: Path, text: str) -> None:
    assert _check(tmp_path, "t.csv", text) == PATIENT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", '[{"patient_id": 1, "n": 2}]'),
        ("t.json", '{"columns": [" Patient ID ", "n"], "data": [[1, 2]]}'),
        ("t.json", '{"csv": "patient_id,n\\n1,2"}'),
        ("t.html", "<table><tr><th>Patient_ID</th><th>n</th></tr><tr><td>1</td><td>2</td></tr></table>"),
        ("t.html", "<p>x</p><script>var d = {'patient_id': [1, 2]}</script>"),
        ("t.html", "<pre>patient_id  n\n1  2\n</pre>"),
        ("t.md", "| patient_id | n |\n|---|---|\n| 1 | 2 |\n"),
        ("t.txt", "patient_id\tn\n1\t2\n"),
        ("t.txt", "   patient_id  age\n0  1  30\n"),
        ("t.txt", "patient_id age\n1 30\n"),
        ("t.txt", "patient_id\n1\n2\n"),
        ("t.log", "patient_id,age\n1,30\n"),
        ("t.svg", "<svg><text>patient_id</text><text>1</text></svg>"),
    ],
)
def test_patient_id_is_found_in_other_types(tmp_path: Path, name: str, text: str) -> None:
    assert _check(tmp_path, name, text) == PATIENT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.txt", "The patient_id column was dropped before counting.\nThat was all, 3 times.\n"),
        ("t.md", "We used patient_id to join the tables.\n"),
        ("t.html", "<p>Each patient_id was counted once.</p><table><tr><td>North</td></tr></table>"),
        ("t.json", '{"note": "one row per patient", "n": [1, 2]}'),
        ("t.csv", "inpatient_ideas,n\n1,2\n"),
    ],
)
def test_prose_about_patients_passes(tmp_path: Path, name: str, text: str) -> None:
    assert _check(tmp_path, name, text) is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.csv", "naïve,n\n1,2\n".encode("latin-1")),
        ("t.csv", "patient_id,n\n1,2\n".encode("utf-16")),
        ("t.csv", "patient_id,n\n1,2\n".encode("utf-16-le")),
        ("t.csv", "n\n" + "x" * 200_000 + "\n"),
        ("t.json", "{not json"),
        ("t.json", "[" * 100_000),
        ("t.txt", b"\xff\xfe\x00"),
        ("t.html", b"\xff"),
        ("t.md", b"\xff"),
        ("t.png", b"patient_id,n\n1,2\n"),
        ("t.jpg", b"patient_id,n\n1,2\n"),
        ("t.svg", b"patient_id,n\n1,2\n"),
        ("t.svgz", b"<svg></svg>"),
        ("t.svgz", gzip.compress(b"patient_id,n\n1,2\n", mtime=0)),
        ("t.svgz", gzip.compress(b"<svg></svg>", mtime=0)[:-6]),
        ("t.svgz", gzip.compress(b"<svg></svg>", mtime=0) + b"patient_id,n\n"),
        ("t.svgz", gzip.compress(b"<svg>" + b" " * (17 << 20) + b"</svg>", mtime=0)),
    ],
)
def test_what_cannot_be_checked_does_not_pass(tmp_path: Path, name: str, data: bytes | str) -> None:
    assert str(_check(tmp_path, name, data)).startswith("File cannot be checked: ")


def test_svgz_is_looked_into(tmp_path: Path) -> None:
    assert _check(tmp_path, "t.svgz", gzip.compress(b"<svg><text>age</text></svg>", mtime=0)) is None
    assert _check(tmp_path, "u.svgz", gzip.compress(b"<svg><text>patient_id</text></svg>", mtime=0)) == PATIENT


def test_images_pass(tmp_path: Path) -> None:
    assert _check(tmp_path, "t.png", b"\x89PNG\r\n\x1a\nrest") is None
    assert _check(tmp_path, "t.jpeg", b"\xff\xd8\xffrest") is None


def test_rows_hidden_in_one_quoted_field_are_counted(tmp_path: Path) -> None:
    text = 'n\n"' + "1\n" * 20 + '"\n'
    assert "File row count" in str(_check(tmp_path, "t.csv", text, max_csv_rows=10))


def test_a_pipe_neither_passes_nor_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    found = check_file(tmp_path, "t.csv", GateLimits())
    assert found is not None
    assert "cannot be opened" in found.reason


def test_the_stub_names_the_file_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("patient_id\n1\n")
    found = check_file(tmp_path, "t.csv", GateLimits())
    assert found is not None
    assert "t.csv" in found.stub
    assert "highly_sensitive" in found.stub


@pytest.mark.parametrize(
    "name", ["patient_id", "PATIENT_ID", " Patient-Id ", '"patient id"', "\ufeffpatient_id", "patientid"]
)
def test_identifier_names(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["patient", "id", "patient_ids", "outpatient_id", ""])
def test_other_names(name: str) -> None:
    assert not is_identifier(name)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("", Shape(0, 0)),
        ("a,b\n", Shape(0, 0)),
        ("a,b\n1,2\n", Shape(1, 2)),
        ("a,b\n1,2,3\n1,2\n", Shape(2, 3)),
        ("a,b\n1,2\n1,2,3\n", Shape(2, 2)),
        ("a,b\n\n1,2\n\n3,4\n\n", Shape(2, 2)),
        ('a,b\n"x\ny",2\n', Shape(1, 2)),
        ("a,b\n1\n", Shape(1, 2)),
    ],
)
def test_shapes_are_those_of_dict_reader(tmp_path: Path, text: str, shape: Shape) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    with path.open("rb") as stream:
        assert csv_shape(stream) == shape
    assert _dict_reader_rows(path) == shape.rows


def _dict_reader_rows(path: Path) -> int:
    import csv

    with path.open(newline="") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def test_a_shape_of_what_is_no_csv_is_none(tmp_path: Path) -> None:
    subprocess.run(["sh", "-c", r"printf '\377\n1\n' > t.csv"], cwd=tmp_path, check=True)
    with (tmp_path / "t.csv").open("rb") as stream:
        assert csv_shape(stream) is None
