"""Old versions in a versioned bucket, on moto's S3."""

import pytest
from click.testing import CliRunner

from carrel.ingest.aws.versions import NotForgotten, Version, forget, main, versions


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
    return sorted((each.key, each.is_current) for each in versions(s3, bucket, prefix))


def run(*args: str):
    return CliRunner().invoke(main, list(args))


def test_it_only_counts_unless_it_is_told_to_forget(s3, versioned):
    assert run("s3://raw/a").output == "s3://raw/a: 4 old versions (0.0 MB)\n"
    assert len(there(s3, versioned, "a/")) == 5


def test_old_versions_are_forgotten_and_what_is_current_stays(s3, versioned):
    assert run("s3://raw/a", "--forget").output == "s3://raw/a: 4 versions forgotten (0.0 MB)\n"
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

    gone = [Version("a", "mark", True, None), Version("a", "old", False, 1)]
    with pytest.raises(NotForgotten, match="AccessDenied"):
        forget(Refusing(), "raw", gone)
    assert asked == ["old", "mark"]
