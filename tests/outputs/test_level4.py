"""The level 4 gate: the contract's reasons word for word, and closed to whatever cannot be checked."""

import base64
import contextlib
import gzip
import json
import os
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import jpeg, png
from tests.support.memory import peak_above

from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.texts import Unreadable
from carrel.outputs import level4_contents
from carrel.outputs.csv_shape import CsvShape, measure_csv
from carrel.outputs.identifiers import read_identifier_names
from carrel.outputs.level4 import Cancelled, GateLimits, check_file, disclosure_sentences
from carrel.project import LEVEL4_FILE_TYPES

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


ROWS = [{"patient_id": 1001, "age": 34}, {"patient_id": 1002, "age": 55}]
CSV = "patient_id,age\n1001,34\n1002,55\n"
BASE64 = base64.b64encode(CSV.encode()).decode()
GZIP_BASE64 = base64.b64encode(gzip.compress(CSV.encode(), mtime=0)).decode()


@pytest.mark.parametrize(
    "text",
    [
        '"patient_id" "age" "sex"\n1001 34 "M"\n1002 55 "F"\n',
        "patient_id age sex\n1001 34 M\n",
        '"age" "patient_id"\n"1" 34 1001\n"2" 55 1002\n',
        *(CSV.replace(",", mark) for mark in (":", "^", "~", "\x1f", "/", "\u00a0", "\u00a6")),
        "data.patient_id,n\n1,2\n",
        "patient_id_x,n\n1,2\n",
        "patient_id.1,n\n1,2\n",
        "p\u0430tient_id,n\n1,2\n",
        "\uff50\uff41\uff54\uff49\uff45\uff4e\uff54\uff3f\uff49\uff44,n\n1,2\n",
        "patient\u200b_id,n\n1,2\n",
        "PAT\u0130ENT_ID,n\n1,2\n",
        "\ufeff\ufeffpatient_id,n\n1,2\n",
        '\ufeff"patient_id","n"\n1,2\n',
        "patientId,n\n1,2\n",
        "region     patient_id  n\nNorth East       1001  3\n",
        "patient_id\n",
        '"patient_id"\nabc\ndef\n',
        "patient_id region\nabc North\ndef South\n",
        "# made by x\nhello\npatient_id,age,sex\n1,2,3\n",
    ],
)
def test_patient_id_is_found_whatever_wrote_the_table(tmp_path: Path, text: str) -> None:
    assert _check(tmp_path, "t.csv", text) == PATIENT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, json.dumps(ROWS)) for name in ("t.txt", "t.log", "t.md", "t.html", "t.csv")),
        *((name, str(ROWS)) for name in ("t.txt", "t.md")),
        ("t.txt", json.dumps(ROWS, indent=1)),
        ("t.log", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("t.log", "2026-01-01T00:00:00Z INFO read patient_id=1001 age=34\n"),
        ("t.log", "failed on patient_id 1001\n"),
        ("t.txt", "- patient_id: 1001\n  age: 34\n"),
        ("t.txt", "patient_id: a7f3\n"),
        ("t.txt", "patient_id:\n  - 1001\n"),
        ("t.txt", "<rows><row><patient_id>1001</patient_id></row></rows>"),
        ("t.txt", '<rows><row patient_id="1001"/></rows>'),
        ("t.txt", "patient\\_id & age & sex \\\\\n1001 & 34 & M \\\\\n"),
        ("t.txt", "structure(list(patient_id = c(1001, 1002), age = c(34, 55)))"),
        ("t.txt", "patient_id (1001) has no age\n"),
        ("t.md", "patient_id = 1001\n"),
        ("t.txt", "GET /rows?patient_id=a&age=3\n"),
        ("t.txt", "[('patient_id', 'age'), (1001, 34)]"),
        ("t.txt", "Index(['patient_id', 'age'], dtype='object')"),
        ("t.txt", " sex | patient_id\n-----+-----------\n   M | 1001\n"),
        ("t.txt", "x" * 100_000 + "\n" + CSV),
        ("t.md", "<table><tr><td>patient_id</td><td>1</td></tr></table>"),
        ("t.md", f"![x](data:text/csv;base64,{BASE64})"),
        ("t.json", '{"patient_id": [1001, 1002], "age": [34, 55]}'),
        ("t.json", '{"patient\\u005fid": 2}'),
        ("t.json", json.dumps({"t": json.dumps(ROWS)})),
        ("t.json", json.dumps({"t": CSV})),
        ("t.json", '[["patient_id", "age"], [1001, 34]]'),
        ("t.html", "<script>var rows=[{patient_id:1001,age:34}]</script>"),
        ("t.html", "<SCRIPT>rows=[{age:34,patient_id:'x'}]</SCRIPT >"),
        ("t.html", '<script>var s="[{\\"patient_id\\":1001}]"</script>'),
        ("t.html", '<script>var s="patient_id,age\\n1001,34\\n"</script>'),
        ("t.html", '<script>var s="\\x70atient_id,age\\n1001,34\\n"</script>'),
        ("t.html", '<div data-df="{&quot;patient_id&quot;:[1001,1002]}"></div>'),
        ("t.html", "<td title=patient_id>1</td>"),
        ("t.html", "<table><tr><th>patient&#95;id</th></tr><tr><td>1</td></tr></table>"),
        ("t.html", "<table><tr><th>patient&UnderBar;id</th></tr><tr><td>1</td></tr></table>"),
        ("t.html", "<th>patient<wbr class=x>_id</th><td>1</td>"),
        ("t.html", "<th><span>patient</span><span>_id</span></th><td>1</td>"),
        ("t.html", "<th>\n  patient_id\n</th>\n<td>1</td>"),
        ("t.html", "<p>patient_id: 1001, age 34</p>"),
        ("t.html", "<dl><dt>patient_id</dt><dd>1001</dd></dl>"),
        ("t.html", "<pre>patient_id,age</pre><pre>1,2</pre>"),
        ("t.html", f"<html><!--\n{CSV}--></html>"),
        ("t.html", f"<a download href='data:text/csv;base64,{BASE64}'>x</a>"),
        ("t.html", "<a href='data:text/csv;charset=utf-8,patient_id%2Cage%0A1001%2C34'>x</a>"),
        ("t.html", "<style>@import url(data:text/css;base64," + BASE64 + ")</style>"),
        ("t.html", f'<img src="data:image/png;base64,{base64.b64encode(png((b"tEXt", CSV.encode()))).decode()}">'),
        (
            "t.html",
            "<a href='data:application/gzip;base64,"
            + base64.b64encode(gzip.compress(CSV.encode(), mtime=0)).decode()
            + "'>x</a>",
        ),
        ("t.html", "<p>" + "x" * 300_000 + "</p><td>patient_id</td>"),
        ("t.svg", "<svg><g id='text_1'><!-- patient_id --></g><g><!-- 1001 --></g></svg>"),
        ("t.svg", f"<svg><desc><![CDATA[\n{CSV}]]></desc></svg>"),
        ("t.svg", f"<?x {CSV}?><svg/>"),
        ("t.html", f"<p>x</p><?php {CSV}?>"),
        ("t.svg", "<svg><metadata>patient_id,age\n1,2\n</metadata></svg>"),
        ("t.svg", '<svg aria-label="patient_id,age&#10;1,2"/>'),
        ("t.svg", "<svg><text><tspan>patient</tspan><tspan>_id</tspan></text></svg>"),
    ],
)
def test_rows_in_plain_sight_are_found(tmp_path: Path, name: str, text: str) -> None:
    assert _check(tmp_path, name, text) == PATIENT


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.png", png((b"tEXt", b"Comment\0" + CSV.encode()))),
        ("t.png", png((b"tEXt", b"patient_id\0" + b"1001"))),
        ("t.png", png((b"zTXt", b"Comment\0\0" + zlib.compress(CSV.encode())))),
        ("t.png", png((b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(CSV.encode())))),
        ("t.png", png((b"iTXt", b"Comment\0\0\0en\0\0" + CSV.encode()))),
        ("t.png", png((b"eXIf", b"MM\0*" + CSV.encode("utf-16-le")))),
        ("t.png", png((b"roWs", CSV.encode()))),
        ("t.jpg", jpeg((0xFE, CSV.encode()))),
        ("t.jpeg", jpeg((0xE1, b"Exif\0\0MM\0*" + CSV.encode()))),
        ("t.jpg", jpeg((0xED, b"Photoshop 3.0\0" + CSV.encode("utf-16-be")))),
    ],
)
def test_texts_within_images_are_read(tmp_path: Path, name: str, data: bytes) -> None:
    assert _check(tmp_path, name, data) == PATIENT


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("t.png", png() + CSV.encode(), "bytes follow the image's end"),
        ("t.png", png()[:-4], "it is not a whole png image"),
        ("t.png", png()[:8] + png()[33:], "it is not a whole png image"),
        ("t.png", png().replace(b"IDAT", b"IDAX"), "it is a damaged png image"),
        ("t.png", png((b"zTXt", b"Comment\0\0" + zlib.compress(b" " * (17 << 20)))), "it is too large once unpacked"),
        ("t.jpg", jpeg() + b"\n", "bytes follow the image's end"),
        ("t.jpg", jpeg()[:-2], "it is not a whole jpg image"),
        ("t.jpg", b"\xff\xd8\xff" + CSV.encode(), "it is not a whole jpg image"),
        ("t.txt", b"PK\x03\x04", "its contents are a zip archive, not text"),
        ("t.csv", b"PAR1\x15patient_idPAR1", "its contents are a Parquet file, not text"),
        ("t.csv", gzip.compress(CSV.encode(), mtime=0), "its contents are a gzip file, not text"),
        (
            "t.html",
            "<a href='data:application/zip;base64," + base64.b64encode(b"PK\x03\x04rows").decode() + "'>",
            "it holds a zip archive",
        ),
        ("t.json", "[" * 101 + "]" * 101, "it is nested too deeply"),
        ("t.json", '{"n": 1}\n{"n": 2}\n', "it cannot be read as JSON"),
    ],
)
def test_what_holds_more_than_it_shows_is_refused(tmp_path: Path, name: str, data: bytes | str, why: str) -> None:
    assert _check(tmp_path, name, data) == f"File cannot be checked: {why}"


def test_the_words_are_true(tmp_path: Path) -> None:
    """Both are stricter than OpenSAFELY, and must not say what is not so."""
    notes = "note,n\n" + "".join(f'"line 1\nline 2\nline 3",{count * 10}\n' for count in range(2000))
    assert _check(tmp_path, "notes.csv", notes) == (
        "File has 6000 lines in 2000 rows, which exceeds maximum allowed rows (5000)"
    )
    assert _check(tmp_path, "missing.csv", "variable,missing\nage,10\npatient_id,0\n") == (
        "`patient_id` stands in a cell (line 3)"
    )


def test_long_tables_of_other_types_are_counted(tmp_path: Path) -> None:
    page = "<table><tr><th>n</th></tr>" + "<tr><td>1</td></tr>" * 11 + "</table>"
    assert "row count (11)" in str(_check(tmp_path, "t.html", page, max_csv_rows=10))
    assert "row count (11)" in str(_check(tmp_path, "t.json", json.dumps([{"n": 1}] * 11), max_csv_rows=10))
    assert _check(tmp_path, "t.json", json.dumps({"x": list(range(5000))}), max_csv_rows=10) is None
    for text in (
        "id,age\n" + "1,2\n" * 11,
        "id\tage\n\n" + "1\t2\n" * 11 + "end",
        "id age\n" + "1 2\n" * 11,
        "a|1|b\r\n" * 11,
    ):
        assert "row count (11)" in str(_check(tmp_path, "t.txt", text, max_csv_rows=10))
    assert "row count (11)" in str(_check(tmp_path, "t.log", "1,2\n" * 11, max_csv_rows=10))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.log", "2026-01-01 10:00:00,123 INFO step 1 is done\n" * 20),
        ("t.txt", "All is well, said one of them.\n" * 20),
        ("t.txt", "1,2\n3\n" * 20),
        ("t.txt", "word\n" * 20),
        ("t.txt", "1,2\n" * 10),
    ],
)
def test_lines_of_other_kinds_are_no_rows(tmp_path: Path, name: str, text: str) -> None:
    assert _check(tmp_path, name, text, max_csv_rows=10) is None


@pytest.mark.parametrize("name", ["nhs_number", "NHS Number", "nhsNumber", "NHS-Number"])
def test_further_names_bar_a_file_where_the_limits_say_so(tmp_path: Path, name: str) -> None:
    text = f"{name},n\n1,2\n"
    assert _check(tmp_path, "t.csv", text) is None
    assert _check(tmp_path, "t.csv", text, barred=("patient_id", "nhs_number")) == "File has nhs_number column"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t.csv", "NHS no.;dob;n\n1;2;3\n", "File has nhs_no column,File has dob column"),
        ("t.csv", "patient_id,n\n1,2\n", PATIENT),
        ("t.csv", "ref,n\n943 476 5919,10\n", "File has NHS numbers column"),
        ("t.json", '[{"surname": "a", "n": 1}]', "File has surname column"),
        ("t.html", "<table><tr><th>Surname</th></tr><tr><td>a</td></tr></table>", "File has surname column"),
        ("t.txt", "surname  n\nabc  10\n", "File has surname column"),
        ("t.csv", "trial number,n\na,10\n", "File has trial_number column"),
        ("t.csv", "", "File cannot be checked: it is not understood as a table"),
        ("t.csv", "n,m\n10,10\n", None),
        ("t.png", png(), None),
        ("t.txt", "No table.\n", None),
    ],
)
def test_a_policy_may_bar_every_column_that_may_identify_people(
    tmp_path: Path, name: str, text: str | bytes, reason: str | None
) -> None:
    policy = DisclosurePolicy(identifiers=read_identifier_names("trial_number"))
    assert _check(tmp_path, name, text, bars_all=True, disclosure=policy) == reason


def test_columns_that_may_identify_people_are_told_without_a_value(tmp_path: Path) -> None:
    """The first row of a table without a header is taken for it: it is not quoted."""
    (tmp_path / "t.csv").write_text("943 476 5919,10\n401 023 2137,10\n")
    (tmp_path / "u.csv").write_text("mother_nhs_number,n\nx,10\n")
    (tmp_path / "v.csv").write_bytes(b"\xff\n")
    told = [disclosure_sentences(tmp_path, name, GateLimits()) for name in ("t.csv", "u.csv", "v.csv", "w.csv")]
    assert told == [
        ["the values look like NHS numbers, which identify people"],
        ["a column of this name may identify people (nhs_number)"],
        ["not checked: it is not UTF-8 text"],
        ["not checked: the check failed (FileNotFoundError)"],
    ]
    (tmp_path / "x.csv").write_text("sex,n\nF,3\nM,4\nX,11\n")
    assert disclosure_sentences(tmp_path, "x.csv", GateLimits()) == [
        "the disclosure rules found: small-count 2, not-rounded 1 (`carrel check-outputs` shows the cells)"
    ]


def test_what_the_pulse_raises_is_not_a_fault_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n10\n")

    def pulse() -> None:
        raise LookupError("out of time")

    for check in (check_file, disclosure_sentences):
        with pytest.raises(LookupError):
            check(tmp_path, "t.csv", GateLimits(), pulse)


HOSTILE = [
    *(
        "<a ",
        "<!--",
        "<!",
        "<![",
        "<?",
        "</",
        "&",
        "<a a=",
        "<script>",
        "&#",
        "<a '",
        "<!a[",
        "<a a='",
        "<b>",
        "<",
        "]]>",
    ),
    *("<![CDATA[", '<a b="&', "data:", "data:,", "data:;base64,", "patient_id ", "patient_id, the ", "patient", "_"),
    *(
        "\\u",
        "\\n",
        "\n",
        ",",
        "a\n",
        '"',
        '"\n',
        "\r",
        "\u0301\u0316",
        "\U0001f600 \n",
        "[",
        "[],",
        '{"a":',
        '"",',
        "1,",
        "{",
    ),
    *("<th>patient<i>", "&quot;", "a b\n", "#", "/", " ", "\t", "&#x70;", "%2C", "<tr>"),
]


@pytest.mark.parametrize("suffix", [".html", ".svg", ".json", ".csv", ".txt"])
@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_comes_to_an_end(tmp_path: Path, unit: str, suffix: str) -> None:
    """Of 300 KB of these, some took the standard library's parser for ever; what is not linear meets the time limit."""
    data = unit.encode() * ((300 << 10) // len(unit.encode()))
    if suffix == ".svg":
        data = b"<svg>" + data
    _check(tmp_path, f"t{suffix}", data)


@given(st.binary(max_size=400), st.sampled_from(sorted(LEVEL4_FILE_TYPES)))
def test_any_bytes_are_judged(data: bytes, suffix: str) -> None:
    with contextlib.suppress(Unreadable):
        level4_contents.inspect(data, suffix, 1 << 20)


@given(
    st.text(alphabet="<>!-[]/?\"'&;= \nabpatient_id0&#x,{}:\\u", max_size=300),
    st.sampled_from([".html", ".svg", ".txt", ".json"]),
)
def test_any_mark_up_is_judged(text: str, suffix: str) -> None:
    with contextlib.suppress(Unreadable):
        level4_contents.inspect(text.encode(), suffix, 1 << 20)


MEMORY = {
    "line breaks": ("b'\\n' * n", ".csv"),
    "short rows": ("b'a\\n' * (n // 2)", ".csv"),
    "commas": ("b',' * n", ".csv"),
    "quoted breaks": ("b'\"\\n\",' * (n // 4)", ".csv"),
    "lists": ("b'[' + b'[],' * (n // 3 - 2) + b'[]]'", ".json"),
    "keys": ("b'{' + b','.join(b'\"%x\":0' % i for i in range(n // 12)) + b'}'", ".json"),
    "emoji": ("'\\U0001F600 \\n'.encode() * (n // 6)", ".txt"),
    "one emoji": ("'\\U0001F600'.encode() + b'a' * (n - 4)", ".txt"),
    "tags": ("b'<b>' * (n // 3)", ".html"),
    "data": ("b'data:;base64,' + b'A' * (n - 13)", ".html"),
    "gzip": ("__import__('gzip').compress(b'<svg>' + b'<b>' * (n // 3 - 2))", ".svgz"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEMORY)
def test_memory_stays_within_a_bound(tmp_path: Path, kind: str) -> None:
    """A CSV file of 16 MiB of line breaks took 1.4 GB."""
    code, suffix = MEMORY[kind]
    exec(f"from pathlib import Path; n = 16 << 20; Path({str(tmp_path / ('t' + suffix))!r}).write_bytes({code})")
    peak = peak_above(
        "from pathlib import Path\nfrom carrel.outputs.level4 import GateLimits, check_file\n",
        f"check_file(Path({str(tmp_path)!r}), 't{suffix}', GateLimits())",
    )
    assert peak < 100 << 20


def test_a_check_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "t.html").write_bytes(b"<a " * (1 << 20))
    pulses = 0

    def pulse() -> None:
        nonlocal pulses
        pulses += 1
        if pulses == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        check_file(tmp_path, "t.html", GateLimits(), pulse)
    assert check_file(tmp_path, "t.html", GateLimits()) is None


def test_a_check_that_waits_for_others_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("n\n")
    (tmp_path / "u.txt").write_text("n\n")
    depth = 0

    def pulse() -> None:
        """Checks another file from within a check, until there is no reader to be had."""
        nonlocal depth
        depth += 1
        if depth > 2:
            raise Cancelled
        check_file(tmp_path, "u.txt", GateLimits(), pulse)

    with pytest.raises(Cancelled):
        check_file(tmp_path, "t.txt", GateLimits(), pulse)
    assert check_file(tmp_path, "t.txt", GateLimits()) is None


def test_what_a_check_fails_on_does_not_pass(tmp_path: Path) -> None:
    """A limit that is no number stands for a fault of the gate's own."""
    found = _check(tmp_path, "t.svgz", gzip.compress(b"<svg></svg>", mtime=0), max_filesize=1e9)
    assert found == "File cannot be checked: the check failed (TypeError)"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.txt", "SELECT patient_id, age FROM patients"),
        ("t.md", "- `patient_id`: the pseudonymous identifier\n"),
        ("t.md", "We dropped `patient_id`, `nhs_number` and others.\n"),
        ("t.md", "`df['patient_id']` is dropped, and `group_by(patient_id, age)` too.\n"),
        ("t.log", "KeyError: 'patient_id'\n"),
        ("t.txt", "one row per patient_id (3 columns)\n"),
        ("t.csv", "patient,id\n1,2\n"),
        ("t.csv", "patient_id_count,n\n1,2\n"),
        ("t.csv", "patient_ids,outpatient_id\n1,2\n"),
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
    assert (
        _check(tmp_path, "t.png", png((b"tEXt", b"Software\0R, version 4"), (b"pHYs", b"\0\0\x0b\x13" * 2 + b"\1")))
        is None
    )
    assert _check(tmp_path, "t.jpeg", jpeg((0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"))) is None


def test_rows_hidden_in_one_quoted_field_are_counted(tmp_path: Path) -> None:
    text = 'n\n"' + "1\n" * 20 + '"\n'
    assert "File has 21 lines in 1 rows" in str(_check(tmp_path, "t.csv", text, max_csv_rows=10))


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
    ("text", "shape"),
    [
        ("", CsvShape(0, 0)),
        ("a,b\n", CsvShape(0, 0)),
        ("a,b\n1,2\n", CsvShape(1, 2)),
        ("a,b\n1,2,3\n1,2\n", CsvShape(2, 3)),
        ("a,b\n1,2\n1,2,3\n", CsvShape(2, 2)),
        ("a,b\n\n1,2\n\n3,4\n\n", CsvShape(2, 2)),
        ('a,b\n"x\ny",2\n', CsvShape(1, 2)),
        ("a,b\n1\n", CsvShape(1, 2)),
    ],
)
def test_shapes_are_those_of_dict_reader(tmp_path: Path, text: str, shape: CsvShape) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    with path.open("rb") as stream:
        assert measure_csv(stream) == shape
    assert _dict_reader_rows(path) == shape.rows


def _dict_reader_rows(path: Path) -> int:
    import csv

    with path.open(newline="") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def test_a_shape_of_what_is_no_csv_is_none(tmp_path: Path) -> None:
    subprocess.run(["sh", "-c", r"printf '\377\n1\n' > t.csv"], cwd=tmp_path, check=True)
    with (tmp_path / "t.csv").open("rb") as stream:
        assert measure_csv(stream) is None
