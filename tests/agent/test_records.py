"""What is written of a job, and what of that may leave: manifest, metadata, log, results."""

import json
from pathlib import Path

import pytest

from carrel.agent import errors, metadata, results
from carrel.executors.base import DiskFull, ExecutorError, ImageNotAllowed, ImageUnavailable, Inspection, Phase
from carrel.jobs.outcomes import ErrorType
from carrel.messages.manifest import OutputRecord, dumps
from carrel.messages.tasks import JobDefinition, StudyCommit
from carrel.outputs import logs, manifest
from carrel.outputs.errors import StorageDamaged
from carrel.outputs.matching import MatchedOutputs
from carrel.repos import CommitNotFound, NetworkError, RepoNotAllowed
from carrel.telemetry.redaction import Redactor, secrets_of_url

JOB = JobDefinition(
    id="j1",
    rap_id="r1",
    repo_url="u",
    commit="c",
    study=StudyCommit(git_repo_url="u", commit="c", branch="b"),
    workspace="w",
    action="a",
    created_at=0,
    image="python:v2",
)


def _record(path: str, action: str = "a", **more: object) -> OutputRecord:
    return OutputRecord(
        path=path,
        level="highly_sensitive",
        job_id="j1",
        job_request="r1",
        action=action,
        user="u",
        repo="repo",
        commit="c",
        size=1,
        timestamp=2.5,
        content_hash="hash",
        **more,
    )


def test_a_manifest_has_the_contracts_keys_in_order(tmp_path: Path) -> None:
    empty = manifest.read(tmp_path / "missing", "w")
    made = manifest.updated(empty, "a", [_record("x.csv", row_count=3, col_count=2)], ["a"])
    assert list(made) == ["workspace", "repo", "outputs"]
    keys = (
        "level job_id job_request action user repo commit size timestamp content_hash excluded message row_count"
        " col_count"
    )
    assert " ".join(made["outputs"]["x.csv"]) == keys
    assert dumps(made).startswith(b'{\n  "workspace": "w",\n  "repo": null,')


def test_flags_of_earlier_outputs(tmp_path: Path) -> None:
    made = manifest.updated(manifest.read(tmp_path / "missing", "w"), "a", [_record("1"), _record("2")], ["a"])
    made = manifest.updated(made, "b", [_record("3", "b")], ["b"])
    assert made["outputs"]["1"]["out_of_date_action"] is True
    assert "out_of_date_output" not in made["outputs"]["1"]
    made = manifest.updated(made, "a", [_record("1")], ["a", "b"])
    assert "out_of_date_action" not in made["outputs"]["1"]
    assert made["outputs"]["2"]["out_of_date_output"] is True
    assert made["outputs"]["2"]["out_of_date_action"] is False
    assert manifest.with_actions(made, ["b"])["outputs"]["1"]["out_of_date_action"] is True


def test_flags_stay_where_the_studys_actions_are_not_known(tmp_path: Path) -> None:
    made = manifest.updated(manifest.read(tmp_path / "missing", "w"), "a", [_record("1")], None)
    assert manifest.updated(made, "b", [], None) == made


def test_old_manifests_without_outputs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"workspace": "w", "repo": "r", "actions": {}}')
    assert manifest.read(path, "w") == {"workspace": "w", "repo": "r", "actions": {}, "outputs": {}}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outputs": 3}'])
def test_a_damaged_manifest_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(StorageDamaged, match="workspace w"):
        manifest.read(path, "w")
    assert path.read_text() == text


ENV = ["PATH=/bin", "DATABASE_URL=secret", "TZ=UTC", "EHRQL_PERMISSIONS=[]", "ODD"]


def test_environments_are_redacted_wherever_they_are() -> None:
    found = metadata.redacted_container({"Config": {"Env": ENV, "Image": "x"}, "More": [{"Env": ENV}]})
    expected = ["PATH=/bin", "DATABASE_URL=xxxx-REDACTED-xxxx", "TZ=UTC", "EHRQL_PERMISSIONS=[]"]
    assert found["Config"]["Env"] == [*expected, "ODD=xxxx-REDACTED-xxxx"]
    assert "secret" not in json.dumps(found)


def test_metadata_is_the_contracts() -> None:
    labels = {"org.opencontainers.image.revision": "abc", "org.opensafely.base.vcs-ref": "def"}
    seen = Inspection(Phase.EXITED, exit_code=0, image_id="sha256:1", labels=labels)
    matched = MatchedOutputs({"x.csv": "highly_sensitive"}, (), ())
    record = metadata.metadata_of(
        JOB, metadata.AttemptFacts(task_id="t1", inspection=seen, exit_code=0, matched=matched, message="m")
    )
    wanted = (
        "outputs unmatched_patterns unmatched_outputs status_message hint timestamp_ns job_definition_id"
        " job_definition_rap_id task_id created_at user completed_at docker_image_id expected_image_id exit_code"
        " oom_killed container_metadata commit database_name action_version action_revision action_created"
        " base_revision base_created level4_excluded_files cancelled error job_metrics"
    )
    assert set(wanted.split()) <= set(record)
    assert (record["exit_code"], record["action_revision"], record["base_revision"]) == ("0", "abc", "def")


def test_nothing_that_names_a_file_leaves() -> None:
    matched = MatchedOutputs({"secret.csv": "highly_sensitive"}, ("p-secret.csv",), ("u-secret.csv",))
    facts = metadata.AttemptFacts(
        task_id="t1", exit_code=0, matched=matched, message="secret", hint="secret", excluded={"secret.csv": "why"}
    )
    left = results.results_of(metadata.metadata_of(JOB, facts)).model_dump_json()
    assert "secret" not in left
    assert json.loads(left)["has_unmatched_patterns"] is True
    assert json.loads(left)["has_level4_excluded_files"] is True


def test_a_fault_leaves_as_a_word_a_stage_and_a_number() -> None:
    fault = results.error_of(ErrorType.DISK_FULL, "finalizing", "abcd1234", "action-name")
    facts = metadata.AttemptFacts(task_id="t1", message="/srv/secret: no space", error=fault)
    left = results.results_of(metadata.metadata_of(JOB, facts))
    assert left.error == {"type": "disk_full", "stage": "finalizing", "reference": "abcd1234"}
    assert "secret" not in left.model_dump_json()
    assert left.status_message == "Job errored"


def test_metrics_leave_as_numbers_only() -> None:
    facts = metadata.AttemptFacts(task_id="t1", metrics={"cpu_mean": 1.5, "note": "secret"})
    assert results.results_of(metadata.metadata_of(JOB, facts)).job_metrics == {"cpu_mean": 1.5}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "full"), "disk_full"),
        (OSError(13, "denied"), "internal_error"),
        (DiskFull(), "disk_full"),
        (ImageUnavailable(), "image_unavailable"),
        (ExecutorError(), "executor_error"),
        (ImageNotAllowed(), "image_not_allowed"),
        (RepoNotAllowed(), "refused"),
        (CommitNotFound(), "user_error"),
        (NetworkError(), "git_unavailable"),
        (errors.InputMissing("", "a"), "input_missing"),
        (errors.InputReplaced("", "a"), "input_replaced"),
        (errors.WorkspaceArchived("w"), "workspace_archived"),
        (errors.ProcessLost(), "lost"),
        (KeyError("secret"), "internal_error"),
    ],
)
def test_every_fault_has_one_word(error: Exception, kind: str) -> None:
    assert errors.kind_of(error) == kind


def test_a_full_disk_is_known_through_what_wraps_it() -> None:
    outer = RuntimeError()
    outer.__cause__ = OSError(28, "full")
    assert errors.kind_of(outer) == "disk_full"


def test_the_log_trailer_is_the_contracts() -> None:
    text = logs.summary(
        {"job_definition_id": "j1", "exit_code": "0", "hint": "", "database_name": None, "status_message": "done"},
        {"output/b.csv": "highly_sensitive", "a.csv": "moderately_sensitive"},
        {"a.csv": "File has patient_id column"},
    )
    assert text == (
        "\n=============JOB SUMMARY=============\njob_definition_id: j1\nexit_code: 0\nstatus_message: done\n\n"
        "outputs:\n  a.csv         - moderately_sensitive\n  output/b.csv  - highly_sensitive\n\n"
        "Invalid moderately_sensitive outputs:\n  a.csv  - File has patient_id column\n"
    )


def test_a_job_without_outputs_says_so() -> None:
    assert logs.summary({}, {}).endswith("outputs:\n  (no outputs)\n")


def test_secrets_are_redacted_in_all_their_forms() -> None:
    url = "postgresql://me:p%40ss word@db/x"
    text = Redactor(secrets_of_url(url), mask=logs.REDACTED)(f"a {url} b p@ss word c p%40ss%20word d")
    assert "ss word" not in text
    assert "p%40ss" not in text
    assert Redactor({"a", ""}, mask=logs.REDACTED)("a b c") == "a b c"


def test_tables_in_a_log_are_measured() -> None:
    stamp = "2026-11-22T05:06:20.152542000Z "
    assert logs.longest_table([stamp + "1,2"] * 7 + [stamp + "prose"] + [stamp + "1,2"] * 3) == 7
    assert logs.longest_table(["Reading files", "done"]) == 0
