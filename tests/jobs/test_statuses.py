from pathlib import Path

import pytest

from carrel.jobs import diagram
from carrel.jobs.statuses import (
    FINAL_CODES,
    PENDING_CODES,
    RESET_CODES,
    RUNNING_CODES,
    STATUSES,
    TRANSITIONS,
    State,
    StatusCode,
    can_transition,
    is_final,
    public_code,
    state_of,
)
from carrel.messages.tasks import Stage

S = StatusCode
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "statuses.md"

# Written out from the contract (controller.md section 3.1): what the table is held against.
CONTRACT = {
    State.PENDING: "created paused waiting_db_maintenance waiting_on_dependencies waiting_on_workers "
    "waiting_on_db_workers waiting_on_reboot waiting_on_new_task",
    State.RUNNING: "initiated preparing prepared executing executed finalizing finalized",
    State.SUCCEEDED: "succeeded",
    State.FAILED: "dependency_failed nonzero_exit cancelled_by_user unmatched_patterns internal_error killed_by_admin "
    "stale_codelists job_error timed_out",
}


@pytest.mark.parametrize("state", State)
def test_each_code_has_the_state_of_the_contract(state):
    assert {code.value for code in StatusCode if state_of(code) is state} == set(CONTRACT[state].split())


def test_every_code_is_described_in_whole_sentences():
    assert set(STATUSES) == set(StatusCode)
    for status in STATUSES.values():
        assert status.message
        assert status.meaning.endswith(".")
        assert status.next_step.endswith(".")


def test_the_groups_part_all_codes():
    assert set(StatusCode) == PENDING_CODES | RUNNING_CODES | FINAL_CODES
    assert len(PENDING_CODES) + len(RUNNING_CODES) + len(FINAL_CODES) == len(StatusCode)
    assert PENDING_CODES >= RESET_CODES


def test_final_codes_go_nowhere():
    assert all(not TRANSITIONS[code] for code in FINAL_CODES)
    assert all(is_final(code) == (not TRANSITIONS[code]) for code in StatusCode)


def test_nothing_becomes_created_and_only_running_jobs_wait_for_a_reboot():
    assert all(S.CREATED not in targets for targets in TRANSITIONS.values())
    assert {code for code in StatusCode if can_transition(code, S.WAITING_ON_REBOOT)} == RUNNING_CODES


def test_a_pending_job_neither_succeeds_nor_runs_but_by_being_initiated():
    for code in PENDING_CODES:
        assert TRANSITIONS[code] & RUNNING_CODES == {S.INITIATED}
        assert not TRANSITIONS[code] & {S.SUCCEEDED, S.NONZERO_EXIT, S.UNMATCHED_PATTERNS, S.TIMED_OUT}


def test_a_running_job_only_goes_forward_or_prepares_afresh():
    order = [S.INITIATED, S.PREPARING, S.PREPARED, S.EXECUTING, S.EXECUTED, S.FINALIZING, S.FINALIZED]
    for place, code in enumerate(order):
        assert TRANSITIONS[code] & RUNNING_CODES == (set(order[place + 1 :]) | {S.PREPARING}) - {code}


def test_a_running_job_becomes_pending_by_a_reset_only():
    for code in RUNNING_CODES:
        assert TRANSITIONS[code] & PENDING_CODES == RESET_CODES


def test_every_code_can_be_reached():
    assert set().union(*TRANSITIONS.values()) == set(StatusCode) - {S.CREATED}


def test_every_stage_of_an_agent_is_a_running_code_or_says_nothing():
    assert {stage.value for stage in Stage} - {"unknown", "error"} == {c.value for c in RUNNING_CODES - {S.INITIATED}}


def test_the_rap_api_sees_its_24_codes_and_no_others():
    assert public_code(S.TIMED_OUT) is S.KILLED_BY_ADMIN
    assert len({public_code(code) for code in StatusCode}) == 24
    assert all(public_code(code) is code for code in StatusCode if code is not S.TIMED_OUT)


def test_the_docs_are_those_of_the_table():
    page = PAGE.read_text(encoding="utf-8")
    assert diagram.renewed(page) == page, f"run: python -m carrel.jobs.diagram --write {PAGE.name}"


def test_the_diagram_has_exactly_the_edges_of_the_table():
    groups = {"any_pending": PENDING_CODES, "any_running": RUNNING_CODES}
    edges = set()
    for line in diagram.mermaid().splitlines():
        source, arrow, target = line.strip().partition(" --> ")
        if arrow and "[*]" not in line:
            sources = groups.get(source) or {StatusCode(source)}
            edges |= {(each, StatusCode(target)) for each in sources if each != target}
    assert edges == {(code, target) for code in StatusCode for target in TRANSITIONS[code]}


def test_the_diagram_colours_each_code_once_and_ends_the_final_ones():
    lines = [line.strip() for line in diagram.mermaid().splitlines()]
    coloured = [code for line in lines if line.startswith("class ") for code in line.split()[1].split(",")]
    assert sorted(coloured) == sorted(code.value for code in StatusCode)
    assert {line for line in lines if line.endswith("--> [*]")} == {f"{code} --> [*]" for code in FINAL_CODES}


def test_writing_and_checking_a_page(tmp_path):
    page = tmp_path / "page.md"
    parts = "".join(f"<!-- begin generated: {n} -->\n<!-- end generated: {n} -->\n" for n in ("diagram", "statuses"))
    page.write_text(f"Before\n{parts}After\n")
    assert diagram.main(["--check", str(page)]) == 1
    assert diagram.main(["--write", str(page)]) == 0
    assert diagram.main(["--check", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("Before\n")
    assert text.endswith("After\n")
    assert all(f"`{code}`" in text for code in StatusCode)


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match="begin generated: diagram"):
        diagram.renewed("nothing here")
