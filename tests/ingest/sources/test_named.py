"""Sources by their names on the command line: S3 and a queue, at moto's server over HTTP."""

import json
from contextlib import chdir

import pytest
from click.testing import CliRunner

from carrel.ingest import aws_access
from carrel.ingest.cli import ingest
from carrel.synthetic import Knobs, write


@pytest.fixture
def site(tmp_path, moto_url, aws, bucket, monkeypatch):
    """Archives in a bucket, a schema store; the environment as somebody has it who uses the AWS command line."""
    truth = write(Knobs(records=4, hz=2, seconds=1), tmp_path / "study")
    for path in (tmp_path / "study" / "archives").glob("*.zip"):
        metadata = {key.lower(): value for key, value in json.loads(path.with_suffix(".json").read_text()).items()}
        aws.client("s3").put_object(
            Bucket=bucket, Key=f"app/day one/{path.stem}", Body=path.read_bytes(), Metadata=metadata
        )
    aws.client("s3").put_object(Bucket=bucket, Key="app/owner.txt", Body=b"me")
    (tmp_path / "mapping.yaml").write_text("schemas: {https://example.org/schemas/taskData.json: sharedSchema_v1}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(aws_access, "_clients", {})
    assert run(tmp_path, "schemas", "add", "study/schemas").exit_code == 0
    return tmp_path, truth


def run(folder, *words):
    with chdir(folder):
        return CliRunner().invoke(ingest, words, env={"CARREL_INGEST_MAPPING": "mapping.yaml"})


def take(folder, source):
    return run(folder, "run", source, "--warehouse", "warehouse", "--workers", "0", "--json")


def test_a_prefix_and_a_queue_that_tells_of_it(site, bucket, queue, aws, send):
    folder, truth = site
    done = take(folder, f"s3://{bucket}/app/day one/")
    assert (done.exit_code, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["dispositions"] == {"ingested": 4}
    assert report["rows"]["ArchiveMetadata_v1"] == len(truth["tables"]["ArchiveMetadata_v1"]["rows"])
    for page in aws.client("s3").list_objects_v2(Bucket=bucket, Prefix="app/day one/")["Contents"]:
        send(page["Key"])
    told = take(folder, f"sqs:{queue}")
    assert (told.exit_code, json.loads(told.stdout)["known"]) == (0, 4), "the queue names archives as the listing does"
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    assert [left[name] for name in names] == ["0", "0"]
    found = run(folder, "reconcile", f"s3://{bucket}/app/", "--warehouse", "warehouse")
    assert "4 archives at the source, 4 of them in the ledger" in found.stdout
    assert "Everything is accounted for." in found.stdout


def test_what_is_not_there_or_not_allowed(site, bucket, queue, monkeypatch):
    folder, _ = site
    for place in (f"s3://{bucket}-none/", f"sqs:{queue}-none"):
        done = take(folder, place)
        assert done.exit_code == 1
        assert "it does not exist" in done.stderr
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(aws_access, "_clients", {})
    done = take(folder, f"sqs:{queue}")
    assert done.exit_code == 1
    assert "AWS_DEFAULT_REGION" in done.stderr
