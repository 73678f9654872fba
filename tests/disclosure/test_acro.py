"""ACRO's results are read, and our rules are held against its verdicts (`tests/support/acro_verdicts.py` made them)."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.disclosure.acro import (
    ChecksumState,
    flagged_cells,
    is_acro_name,
    read_acro_results,
    verify_checksums,
)
from carrel.disclosure.dominance import dominated_by_few, little_beside_largest
from carrel.disclosure.findings import RuleId
from carrel.disclosure.outputs import look_at
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.texts import Unreadable
from carrel.units.limits import MAX_ACRO_OUTPUTS

FOLDER = Path(__file__).parent / "acro"
OUTPUTS = FOLDER / "outputs"
VERDICTS = json.loads((FOLDER / "verdicts.json").read_text())
RESULTS = read_acro_results((OUTPUTS / "results.json").read_bytes())
BY_NAME = {name: next(o for o in RESULTS.outputs if o.uid == uid) for name, uid in VERDICTS["outputs"].items()}
CONFIG = VERDICTS["config"]
AS_ACRO = DisclosurePolicy(
    smallest_shown=CONFIG["safe_threshold"],
    zeros_are_disclosive=CONFIG["zeros_are_disclosive"],
    dominance_contributors=CONFIG["safe_nk_n"],
    dominance_share=CONFIG["safe_nk_k"],
    dominance_rest=CONFIG["safe_pratio_p"],
    least_degrees_of_freedom=CONFIG["safe_dof_threshold"],
    least_at_risk=CONFIG["survival_safe_threshold"],
)


def acros(name: str, check: str) -> set[tuple[int, int]]:
    """Line and column number of what one of ACRO's checks flags in an output's first file."""
    output = BY_NAME[name]
    flagged = flagged_cells(output, output.files[0].name, (OUTPUTS / output.files[0].name).read_text())
    assert flagged.outside == 0
    return {(cell.line, cell.column_number) for cell in flagged.cells if check in cell.checks}


def ours(name: str, *rules: RuleId) -> set[tuple[int, int]]:
    path = OUTPUTS / BY_NAME[name].files[0].name
    look = look_at(io.BytesIO(path.read_bytes()), ".csv", AS_ACRO)
    return {(finding.line, finding.column_number) for finding in look.findings if finding.rule in rules}


@pytest.mark.parametrize("name", ["counts", "counts with margins", "counts with zeros"])
def test_counts_are_judged_as_acro_does(name: str) -> None:
    """ACRO's threshold takes 0 for a small count too: here it is a rule of its own."""
    assert ours(name, RuleId.SMALL_COUNT, RuleId.ZERO) == acros(name, "MinimumThresholdCheck")
    assert ours(name, RuleId.ZERO) == acros(name, "PresenceOfZeroCheck")


@pytest.mark.parametrize(("name", "key"), [("sums", "sex"), ("sums by plan", "plan")])
def test_dominance_is_judged_as_acro_does(name: str, key: str) -> None:
    """From the contributions, which a table of sums alone does not have."""
    lines = (OUTPUTS / BY_NAME[name].files[0].name).read_text().splitlines()
    regions = lines[0].split(",")[1:]
    rows = [line.split(",")[0] for line in lines[1:]]
    cells = {
        (row_number + 2, number + 2): VERDICTS["contributions"][key].get(f"{row}/{region}", [])
        for row_number, row in enumerate(rows)
        for number, region in enumerate(regions)
    }
    few = {place for place, contributions in cells.items() if dominated_by_few(contributions, AS_ACRO)}
    little = {place for place, contributions in cells.items() if little_beside_largest(contributions, AS_ACRO)}
    assert few == acros(name, "NKCheck")
    assert little == acros(name, "PPercentCheck")


@pytest.mark.parametrize(("name", "status"), [("regression", "pass"), ("regression on few", "fail")])
def test_degrees_of_freedom_are_judged_as_acro_does(name: str, status: str) -> None:
    assert BY_NAME[name].check_statuses["MinimumDoFCheck"] == status
    assert bool(ours(name, RuleId.DEGREES_OF_FREEDOM)) is (status == "fail")


def test_where_we_differ() -> None:
    """docs/reference/disclosure.md says why: sums and means have lost the counts that ACRO still knows."""
    for name in ("sums", "sums by plan", "means"):
        assert acros(name, "MinimumThresholdCheck")
        assert not ours(name, RuleId.SMALL_COUNT)
    assert acros("means", "MinimumThresholdCheck") == {(6, 3)}


def test_outputs_are_read_with_what_was_said_of_them() -> None:
    output = BY_NAME["counts"]
    assert (RESULTS.version, output.status, output.kind, output.shape) == ("1.0.2", "fail", "table", (2, 3))
    assert output.properties == {"method": "crosstab", "mitigation": "none"}
    assert (output.comments, output.exception) == (("counts",), "made up: counts")
    assert output.files[0].checks["MinimumThresholdCheck"] == 2
    assert output.files[0].cells == {"MinimumThresholdCheck": ((0, 2), (1, 2))}
    assert RESULTS.outputs_of("output_0_0.csv") == (output,)
    assert is_acro_name("output/results.json")


def test_checksums_are_held_against_the_bytes() -> None:
    files = {path.name: path.read_bytes() for path in OUTPUTS.iterdir() if path.is_file()}
    checksums = {path.name.removesuffix(".txt"): path.read_bytes() for path in (OUTPUTS / "checksums").iterdir()}
    assert set(verify_checksums(RESULTS, files, checksums).values()) == {ChecksumState.MATCHES}
    files["output_0_0.csv"] += b"\n"
    del files["output_1_0.csv"]
    checksums["output_2_0.csv"] = b"?"
    states = verify_checksums(RESULTS, files, checksums)
    assert states["output_0_0.csv"] is ChecksumState.DIFFERS
    assert states["output_1_0.csv"] is ChecksumState.NO_FILE
    assert states["output_2_0.csv"] is ChecksumState.NO_CHECKSUM


EARLIER = {
    "version": "0.4.2",
    "results": {
        "output_0": {
            "uid": "output_0",
            "status": "review",
            "type": "table",
            "files": [
                {
                    "name": "output_0_0.csv",
                    "sdc": {
                        "summary": {"suppressed": False, "negative": 0, "missing": 0, "threshold": 1, "p-ratio": 0},
                        "cells": {"negative": [], "threshold": [[0, 1], [9, 9], ["a", 1], [1]], "nk-rule": [[0, 1]]},
                    },
                },
                "output_0_1.png",
            ],
            "outcome": {},
        },
        "output_1": "no output",
    },
}


def test_checks_are_an_open_vocabulary() -> None:
    (output,) = read_acro_results(json.dumps(EARLIER).encode()).outputs
    assert [file.name for file in output.files] == ["output_0_0.csv", "output_0_1.png"]
    assert output.files[0].checks == {"suppressed": 0, "negative": 0, "missing": 0, "threshold": 1, "p-ratio": 0}
    flagged = flagged_cells(output, "output_0_0.csv", "sex,north,south\nF,10,2\n")
    assert [(cell.line, cell.column_number, cell.checks) for cell in flagged.cells] == [
        (2, 3, ("threshold", "nk-rule"))
    ]
    assert flagged.outside == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "it cannot be read as JSON"),
        (b"[]", "it is not what ACRO writes: it has no version and results"),
        (b'{"results": {}}', "it is not what ACRO writes: it has no version and results"),
        (b"\xff", "it is not UTF-8 text"),
        (
            b'{"version": 1, "results": {' + b",".join(b'"%d": {}' % n for n in range(MAX_ACRO_OUTPUTS + 1)) + b"}}",
            "1,000",
        ),
    ],
)
def test_what_is_no_result_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_acro_results(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["files", "name", "sdc", "summary", "cells", "outcome", "comments", "fair", "properties", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=2), VALUES, max_size=3), st.text(max_size=20))
def test_any_result_is_read(results: dict[str, object], text: str) -> None:
    document = read_acro_results(json.dumps({"version": "9", "results": results}).encode())
    for output in document.outputs:
        for file in output.files:
            flagged_cells(output, file.name, text.replace("\0", ""))
