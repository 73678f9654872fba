"""What leaves the secure side: a fixed vocabulary, whatever the metadata holds."""

import pytest

from carrel.agent.results import ErrorType, error_of, results_of

SECRET = "output/zebra-7781.csv"
METADATA = {
    "exit_code": "0",
    "docker_image_id": "sha256:1",
    "status_message": f"\n  No outputs found matching patterns:\n - {SECRET}",
    "hint": f"Did you mean {SECRET}?",
    "timestamp_ns": 1,
    "outputs": {SECRET: "highly_sensitive"},
    "unmatched_patterns": [SECRET],
    "unmatched_outputs": [SECRET],
    "level4_excluded_files": {SECRET: "reason"},
    "container_metadata": {"env": SECRET},
    "job_metrics": {"cpu_mean": 1.5, "names": SECRET},
}


def test_no_name_of_a_file_leaves():
    results = results_of(METADATA)
    assert SECRET not in results.model_dump_json()
    assert (results.has_unmatched_patterns, results.has_level4_excluded_files) == (True, True)
    assert (results.status_message, results.hint, results.job_metrics) == ("", "", {"cpu_mean": 1.5})


def test_unmatched_files_silence_a_success_too():
    results = results_of({**METADATA, "unmatched_patterns": [], "status_message": "Completed successfully"})
    assert (results.status_message, results.hint) == ("", "")


@pytest.mark.parametrize("message", ["Job ran out of memory (limit was 0.12GB)", None])
def test_a_job_that_was_killed_may_say_why_although_its_outputs_are_missing(message):
    results = results_of({**METADATA, "exit_code": "137", "status_message": message, "hint": ""})
    assert results.status_message == message
    assert results.has_unmatched_patterns


def test_a_fault_leaves_as_one_word_and_a_number():
    error = error_of(ErrorType.DISK_FULL, "prepare", "abc123", action="secret action")
    nothing_matched = {"exit_code": None, "unmatched_patterns": [], "unmatched_outputs": []}
    results = results_of({**METADATA, **nothing_matched, "error": error, "status_message": SECRET})
    assert results.error == {"type": "disk_full", "stage": "prepare", "reference": "abc123"}
    assert results.status_message == "Job errored"
    assert SECRET not in results.model_dump_json()


def test_an_action_is_named_only_when_its_output_is_gone():
    assert error_of(ErrorType.INPUT_MISSING, "prepare", "1", action="extract")["action"] == "extract"


def test_numbers_that_a_job_can_choose_leave_rounded() -> None:
    said = "Completed successfully, but {} file(s) marked as moderately_sensitive were excluded."
    metrics = {"mem_mb_peak": 12345, "mem_mb_mean": 345.6, "cpu_mean": 1.234}
    record = {"exit_code": 0, "status_message": said.format(37), "timestamp_ns": 1, "job_metrics": metrics}
    found = results_of(record)
    assert found.status_message == said.format("more than 10")
    assert found.job_metrics == {"mem_mb_peak": 12000, "mem_mb_mean": 350.0, "cpu_mean": 1.234}
    for few in (1, 9, 10):
        assert results_of({**record, "status_message": said.format(few)}).status_message == said.format(few)
