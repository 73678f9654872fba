"""Old versions in a versioned bucket, on moto's S3."""

import io

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from carrel.ingest.aws.ingester import make_ingester
from carrel.ingest.aws.versions import NotForgotten, ObjectVersion, forget, list_versions, main
from carrel.ingest.aws.work import StudyPipeline
from carrel.ingest.operations.proofs import old_versions_note
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.sources.s3 import uri_of
from carrel.ingest.store import open_storage
from carrel.ingest.values import ArchiveRef
from carrel.synthetic import Knobs, generate


@pytest.fixture
def versioned(s3, bucket) -> str:
    """Below a/: `kept` in two versions, `gone` deleted after two; below ab/: another's, deleted."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a/kept", "a/gone", "ab/other"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"first")
        s3.put_object(Bucket=bucket, Key=key, Body=b"second")
    for key in ("a/gone", "ab/other"):
        s3.delete_object(Bucket=bucket, Key=key)
    return bucket


def there(s3, bucket: str, prefix: str) -> list[tuple[str, bool]]:
    return sorted((each.key, each.is_current) for each in list_versions(s3, bucket, prefix))


def run(*args: str):
    return CliRunner().invoke(main, list(args))


def test_it_only_counts_unless_it_is_told_to_forget(s3, versioned):
    assert run("s3://raw/a").output == "s3://raw/a: 4 old versions (0.0 MB)\n"
    assert len(there(s3, versioned, "a/")) == 5


def test_old_versions_are_forgotten_and_what_is_current_stays(s3, versioned):
    assert run("s3://raw/a", "--forget").output.splitlines() == [
        "s3://raw/a: 4 versions to forget (0.0 MB)",
        "s3://raw/a: 4 versions forgotten (0.0 MB)",
    ]
    assert there(s3, versioned, "a/") == [("a/kept", True)]
    assert s3.get_object(Bucket=versioned, Key="a/kept")["Body"].read() == b"second"
    assert len(there(s3, versioned, "ab/")) == 3


def test_everything_below_a_prefix_is_forgotten_and_nothing_beside_it(s3, versioned):
    assert run("s3://raw/a/", "--forget-all").exit_code == 0
    assert there(s3, versioned, "a/") == []
    assert len(there(s3, versioned, "ab/")) == 3


@pytest.mark.parametrize("place", ["s3://raw", "s3://raw/", "raw/a", "s3:///a"])
def test_a_whole_bucket_is_refused(aws, place):
    done = run(place, "--forget-all")
    assert (done.exit_code, "a whole bucket is not taken" in done.output) == (2, True)


def test_marks_go_last_and_what_is_refused_is_said():
    asked: list[str] = []

    class Refusing:
        def delete_objects(self, Bucket, Delete):
            asked.extend(each["VersionId"] for each in Delete["Objects"])
            return {"Errors": [{"Key": "a", "Code": "AccessDenied"}]}

    gone = [ObjectVersion("a", "mark", True, None), ObjectVersion("a", "old", False, 1)]
    with pytest.raises(NotForgotten, match="AccessDenied"):
        forget(Refusing(), "raw", gone)
    assert asked == ["old", "mark"]


def test_who_withdrew_is_in_old_versions_until_they_are_forgotten(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    refs = []
    for number, made in enumerate(generate(Knobs(seed=4, records=2, shapes={"task": 1.0}, android=0.0))):
        etag = s3.put_object(Bucket=bucket, Key=f"in/{number}", Body=made.data, Metadata=dict(made.metadata))["ETag"]
        refs.append(ArchiveRef(uri_of(bucket, f"in/{number}"), etag.strip('"'), None, dict(made.metadata)))
    make_ingester(None)(StudyPipeline("one", "s3://raw/out"), refs)
    code = dict(refs[0].metadata or {})["healthcode"]
    assert holding(s3, bucket, code)
    proof = withdraw("s3://raw/out", [code])
    assert not proof.holding
    assert proof.text().endswith(
        "THE BUCKET KEEPS OLD VERSIONS: what was deleted can be read there until they are forgotten, by\n"
        "  python3 -m carrel.ingest.aws.versions s3://raw/out --forget"
    )
    assert holding(s3, bucket, code)
    assert run("s3://raw/out", "--forget").exit_code == 0
    assert holding(s3, bucket, code) == []
    left = list(list_versions(s3, bucket, "out/"))
    assert left
    assert all(each.is_current and each.size is not None for each in left)


def holding(s3, bucket: str, code: str) -> list[str]:
    """Versions of files of the warehouse, old ones too, that hold the code."""
    found = []
    for each in list_versions(s3, bucket, "out/"):
        if each.size is not None:
            data = s3.get_object(Bucket=bucket, Key=each.key, VersionId=each.version_id)["Body"].read()
            text = str(pq.read_table(io.BytesIO(data)).to_pylist()) if each.key.endswith(".parquet") else data.decode()
            found += [each.key] if code in text else []
    return found


def test_old_versions_are_spoken_of_where_there_may_be_some(s3, bucket, monkeypatch):
    storage = open_storage(f"s3://{bucket}/out")
    assert old_versions_note(storage) == ""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert old_versions_note(storage).startswith("THE BUCKET KEEPS OLD VERSIONS")
    assert old_versions_note(open_storage("s3://not-ours/out")).startswith("Whether the bucket keeps old versions")
