"""What `diff-schema` says of a new schema, and the exit code that scripts go by."""

import json
import zipfile
from contextlib import chdir

import pytest
from click.testing import CliRunner

from carrel.ingest.cli import ingest

URI = "https://example.org/schemas/reaction.json"
SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": URI,
    "type": "object",
    "required": ["startDate"],
    "properties": {"startDate": {"type": "string"}, "score": {"type": "integer"}},
}
MAP = {
    "anyOf": [{"filename": "metadata.json"}],
    "apps": [],
    "assessments": [
        {
            "assessmentIdentifier": "reaction",
            "assessmentRevision": 1,
            "files": [{"filename": "reaction.json", "jsonSchema": URI}],
        }
    ],
}


def changed(required=("startDate",), **properties):
    return {**SCHEMA, "required": list(required), "properties": {**SCHEMA["properties"], **properties}}


@pytest.fixture
def site(tmp_path):
    """A store with one schema, and two records: one with a score, one without."""
    (tmp_path / "reaction.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "map.json").write_text(json.dumps(MAP))
    (tmp_path / "mapping.yaml").write_text(f"extends: nothing\nschemas: {{{URI}: Reaction_v1}}")
    (tmp_path / "archives").mkdir()
    (tmp_path / "nothing").mkdir()
    for name, version, value in (("a", 1, {"startDate": "x", "score": 1}), ("b", 2, {"startDate": "x"})):
        about = {
            "recordid": name,
            "assessmentid": "reaction",
            "assessmentrevision": "1",
            "uploadedon": "2024-01-01T00:00:00.000Z",
            "clientinfo": json.dumps({"appVersion": version, "osName": "Android"}),
        }
        (tmp_path / "archives" / f"{name}.json").write_text(json.dumps(about))
        with zipfile.ZipFile(tmp_path / "archives" / f"{name}.zip", "w") as made:
            made.writestr("reaction.json", json.dumps(value))
    run(tmp_path, "schemas", "add", "reaction.json", "map.json")
    return tmp_path


def run(site, *words):
    with chdir(site):
        return CliRunner().invoke(ingest, words, env={"CARREL_INGEST_MAPPING": "mapping.yaml"})


WIDER = changed(score={"type": "number"})
NEWER = changed(more={"type": "string"})
FREE = changed(score={})
STRICTER = changed(score={"type": "integer", "maximum": 1})
REQUIRED = changed(("startDate", "score"))
OTHER_KIND = changed(score={"type": "string"})


@pytest.mark.parametrize(
    ("new", "sample", "code", "last"),
    [
        (SCHEMA, None, 0, "compatible"),
        ({**SCHEMA, "title": "Reaction"}, None, 0, "compatible"),
        (NEWER, "archives", 0, "compatible"),
        (WIDER, None, 0, "compatible"),
        (WIDER, "archives", 0, "compatible"),
        (STRICTER, None, 3, "files may be refused: try it with --sample"),
        (STRICTER, "nothing", 3, "files may be refused: try it with --sample"),
        (STRICTER, "archives", 0, "compatible"),
        (REQUIRED, None, 3, "files may be refused"),
        (REQUIRED, "archives", 3, "1 file of the sample would be refused, and is taken now"),
        (OTHER_KIND, None, 3, "a column would change its kind"),
        (
            OTHER_KIND,
            "archives",
            3,
            "a column would change its kind: choose a policy, or a new dataset version; 1 file",
        ),
    ],
)
def test_exit_codes(site, new, sample, code, last):
    (site / "new.json").write_text(json.dumps(new))
    done = run(site, "diff-schema", URI, "new.json", *(["--sample", sample] if sample else []))
    assert (done.exit_code, done.stderr) == (code, "")
    assert done.stdout.splitlines()[-1].startswith(last), done.stdout


def test_which_files_would_be_refused(site):
    (site / "new.json").write_text(json.dumps(REQUIRED))
    done = run(site, "diff-schema", URI, "new.json", "--sample", "archives")
    assert "1 change\n" in done.stdout
    assert "taken by both: reaction 1 Android 1: reaction.json\n" in done.stdout
    assert "refused now: reaction 1 Android 2: reaction.json\n  required at the whole: " in done.stdout


def test_a_new_schema_of_another_name_is_noted(site):
    (site / "new.json").write_text(json.dumps({**WIDER, "$id": "https://example.org/schemas/v2/reaction.json"}))
    done = run(site, "diff-schema", URI, "new.json")
    assert "v2/reaction.json: adding it would not change" in done.stderr
    assert done.exit_code == 0


def test_an_archive_map_is_no_schema(site):
    done = run(site, "diff-schema", URI, "map.json")
    assert done.exit_code == 1
    assert "map.json is an archive map, not a schema" in done.stderr


def test_a_schema_that_cannot_be_compiled_takes_no_file(site):
    (site / "new.json").write_text(json.dumps(changed(score={"type": "nonsense"})))
    done = run(site, "diff-schema", URI, "new.json", "--sample", "archives")
    assert done.exit_code == 3
    assert "would be refused" in done.stdout
