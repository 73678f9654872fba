import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from tests.jobs.examples import PATIENT

from carrel.executors import base
from carrel.jobs.outcomes import (
    DATABASE_EXIT_CODES,
    FAULT_WORDS,
    REFUSAL_WORDS,
    ErrorType,
    Outcome,
    is_infrastructure,
    results_to_outcome,
)
from carrel.jobs.statuses import FINAL_CODES, StatusCode

S = StatusCode
GOOD = {
    "exit_code": "0",
    "status_message": "Completed successfully",
    "has_unmatched_patterns": False,
    "has_level4_excluded_files": False,
    "error": None,
}


def outcome(requires_db=False, **changes):
    return results_to_outcome(GOOD | changes, requires_db=requires_db)


@pytest.mark.parametrize("exit_code", ["0", 0])
@pytest.mark.parametrize("error", [None, False, "", {}])
def test_success(exit_code, error):
    assert outcome(exit_code=exit_code, error=error) == Outcome(S.SUCCEEDED, "Completed successfully")


def test_success_with_files_held_back():
    assert outcome(has_level4_excluded_files=True).message == (
        "Completed successfully, but some file(s) marked as moderately_sensitive were excluded. "
        "See job log for details."
    )


def test_unmatched_patterns():
    assert outcome(has_unmatched_patterns=True, status_message="") == Outcome(
        S.UNMATCHED_PATTERNS, "Outputs matching expected patterns were not found. See job log for details."
    )


@pytest.mark.parametrize("exit_code", ["1", 255, -9, None, "", "none", False, True, 1.0, []])
def test_any_other_exit_code_is_a_failure_even_with_unmatched_patterns(exit_code):
    result = outcome(exit_code=exit_code, status_message=None, has_unmatched_patterns=True)
    assert result == Outcome(S.NONZERO_EXIT, "Job exited with an error")


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (126, "a program could not be run: it is not executable"),
        (127, "a program was not found"),
        (134, "killed by signal 6 (aborted). The program gave itself up"),
        (137, "killed by signal 9 (killed)"),
        (139, "killed by signal 11 (segmentation fault). A compiled library failed"),
        (143, "killed by signal 15 (terminated)"),
    ],
)
@pytest.mark.parametrize("requires_db", [True, False])
def test_signals_and_what_could_not_be_started_are_told_in_words(exit_code, words, requires_db):
    message = outcome(requires_db=requires_db, exit_code=str(exit_code), status_message=None).message
    assert message.startswith(f"Job exited with an error: {words}")


def test_the_agents_message_says_more():
    words = "Job ran out of memory (limit was 4.00GB)"
    assert outcome(exit_code="137", status_message=words).message == f"Job exited with an error: {words}"


@pytest.mark.parametrize("code", [2, 3, 4, 5, 6, 10, 11, 12, 13, 14])
def test_exit_codes_of_database_actions_are_explained(code):
    explained = outcome(requires_db=True, exit_code=str(code), status_message=None).message
    assert explained == f"Job exited with an error: {DATABASE_EXIT_CODES[code]}"
    assert outcome(exit_code=str(code), status_message=None).message == "Job exited with an error"


def test_other_exit_codes_of_database_actions_are_not():
    assert outcome(requires_db=True, exit_code="7", status_message=None).message == "Job exited with an error"
    assert outcome(requires_db=True, exit_code=None, status_message=None).message == "Job exited with an error"


@pytest.mark.parametrize("kind", FAULT_WORDS)
def test_infrastructure_faults_are_tried_again(kind):
    result = outcome(error={"type": str(kind), "stage": "prepare", "reference": "ab12"})
    assert result.code is S.WAITING_ON_NEW_TASK
    assert (result.fault, result.reference) == (FAULT_WORDS[kind], "ab12")


@pytest.mark.parametrize("error", [True, "boom", {"exception": "E", "message": "secret.csv"}, {"type": ["x"]}, [1]])
def test_errors_we_do_not_know_are_faults_and_their_text_is_not_repeated(error):
    result = outcome(error=error)
    assert result.code is S.WAITING_ON_NEW_TASK
    assert result.fault == "the backend's agent met an unexpected error"
    assert "secret" not in result.message


@pytest.mark.parametrize("results", [None, {}, {"has_unmatched_patterns": False}])
def test_results_that_say_nothing_are_a_fault(results):
    assert results_to_outcome(results).code is S.WAITING_ON_NEW_TASK


@pytest.mark.parametrize("kind", REFUSAL_WORDS)
def test_refusals_are_final_and_say_why(kind):
    result = outcome(error={"type": str(kind), "reference": "ab12"})
    assert result.code is S.JOB_ERROR
    assert result.message == f"{REFUSAL_WORDS[kind]} (reference ab12)"


def test_a_missing_input_names_the_action_that_made_it():
    result = outcome(error={"type": "input_missing", "action": "extract"})
    assert result.code is S.DEPENDENCY_FAILED
    assert "action 'extract'" in result.message
    assert result.missing_inputs_of == ("extract",)


@pytest.mark.parametrize("action", [None, 3, "", "output/patients of ward 7.csv", "x" * 200])
def test_a_missing_input_of_we_know_not_which_action(action):
    result = outcome(error={"type": "input_missing", "action": action})
    assert result.code is S.DEPENDENCY_FAILED
    assert "an action that this one needs" in result.message
    assert result.missing_inputs_of == ()


def test_a_reference_of_a_strange_shape_is_left_out():
    assert outcome(error={"type": "bad_task", "reference": "<b>x</b>"}).reference == ""


def test_time_limit_and_lost_host():
    assert outcome(error={"type": "timed_out"}).code is S.TIMED_OUT
    assert outcome(exit_code="137", timed_out=True).code is S.TIMED_OUT
    assert outcome(error={"type": "lost"}).code is S.WAITING_ON_REBOOT


def test_replaced_inputs_are_told_in_words_and_make_no_action_run_again():
    result = outcome(error={"type": "input_replaced", "action": "extract"})
    assert result.code is S.DEPENDENCY_FAILED
    assert "'extract'" in result.message
    assert "later job" in result.message
    assert result.missing_inputs_of == ()
    assert "<b>" not in outcome(error={"type": "input_replaced", "action": "<b>"}).message


def test_every_word_of_the_executors_is_known_here():
    kinds = {value.kind for value in vars(base).values() if isinstance(value, type) and hasattr(value, "kind")}
    assert kinds
    assert kinds <= {kind.value for kind in ErrorType}


def test_every_error_type_has_its_words():
    others = {ErrorType.LOST, ErrorType.INPUT_MISSING, ErrorType.INPUT_REPLACED, ErrorType.TIMED_OUT}
    assert set(ErrorType) == set(FAULT_WORDS) | set(REFUSAL_WORDS) | others


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@PATIENT
@cases(
    st.dictionaries(st.sampled_from([*GOOD, "timed_out"]), json)
    | st.fixed_dictionaries(
        {"error": st.fixed_dictionaries({"type": st.sampled_from(ErrorType) | json, "action": json})}
    )
    | json,
    st.booleans(),
)
def test_never_raises_and_always_decides(results, requires_db):
    result = results_to_outcome(results, requires_db=requires_db)
    assert result.code in FINAL_CODES | {S.WAITING_ON_NEW_TASK, S.WAITING_ON_REBOOT}
    assert result.message
    if result.code is S.SUCCEEDED:
        assert int(results["exit_code"]) == 0
        assert not results.get("error")
        assert not results.get("has_unmatched_patterns")


def test_infrastructure_faults_are_those_that_are_tried_again():
    again = {kind for kind in ErrorType if is_infrastructure(kind)}
    assert again == set(FAULT_WORDS) | {ErrorType.LOST}
    for kind in ErrorType:
        judged = outcome(exit_code=None, error={"type": kind, "action": "a"})
        retried = judged.code in (StatusCode.WAITING_ON_NEW_TASK, StatusCode.WAITING_ON_REBOOT)
        assert retried is is_infrastructure(kind), kind
