"""The scripts of `deploy/aws`, run as people and GitHub run them, by sceptre against moto's server.

Docker alone is played, since there is no ECR to push to here: what it is told is kept. `test_image` builds the image.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.support.cloudformation import DEPLOY

from carrel.ingest.aws.artifacts import list_refs
from carrel.ingest.aws.handler import parse_studies
from carrel.ingest.aws.versions import list_versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUCKETS = {name: f"acme-develop-{name}" for name in ("warehouse", "artifacts", "raw")}
ROW = "    - {app: example-app-1, study: study-1}\n"
NEW = "    - {app: mobile-toolbox, study: cxhnxd, parameters: {MaxReceive: 20}}\n"


class Checkout:
    """A copy of the repository's deployment, and the programs that it needs on the PATH."""

    def __init__(self, folder: Path, sceptre: Path):
        self.folder = folder
        self.deploy = folder / "deploy/aws"
        shutil.copytree(DEPLOY, self.deploy, ignore=shutil.ignore_patterns("mapping"))
        (self.deploy / "mapping").mkdir()
        (self.deploy / "mapping/mapping.yaml").write_text("{}\n")
        programs = folder / "programs"
        programs.mkdir()
        self.told = folder / "docker.log"
        (programs / "docker").write_text(f'#!/bin/sh\necho "$@" >> {self.told}\ncat > /dev/null < /dev/stdin\n')
        (programs / "docker").chmod(0o755)
        (programs / "sceptre").symlink_to(sceptre)
        self.path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(self, script: str, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": self.path, "NAME": "acme", **variables}
        command = [str(self.deploy / script), *args]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def docker(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    def add(self, environment: str, row: str) -> None:
        path = self.deploy / "config" / environment / "namespaced/studies.yaml"
        path.write_text(path.read_text().replace(ROW, ROW + row))


@pytest.fixture
def checkout(aws: str, sceptre: Path, tmp_path: Path) -> Checkout:
    return Checkout(tmp_path, sceptre)


def well(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def everything() -> dict[str, Any]:
    """What the account holds by kind and name, in as much detail as moto has; without times and versions."""
    sqs, iam, functions, ecs = (boto3.client(name) for name in ("sqs", "iam", "lambda", "ecs"))
    urls = sqs.list_queues().get("QueueUrls", ())
    found: dict[str, Any] = {
        url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls
    }
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        policies = iam.list_role_policies(RoleName=name)["PolicyNames"]
        inline = {each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in policies}
        found[role["Arn"]] = (role["AssumeRolePolicyDocument"], inline)
    for each in functions.list_functions()["Functions"]:
        made = functions.get_function(FunctionName=each["FunctionName"])
        found[each["FunctionArn"]] = (made["Code"]["ImageUri"], made["Configuration"]["Environment"])
    for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
        found[arn] = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
    for each in functions.list_event_source_mappings()["EventSourceMappings"]:
        found[each["UUID"]] = (each["EventSourceArn"], each["FunctionArn"])
    for each in boto3.client("logs").describe_log_groups()["logGroups"]:
        found[each["arn"]] = each["retentionInDays"]
    return json.loads(json.dumps(found, default=str))


def test_main_is_deployed_a_study_more_is_one_row_and_data_outlives_its_stacks(checkout, s3):
    """In production: with no dashboard, as in develop, moto cannot update the stack of studies."""
    well(checkout.run("deploy", "prod", "main", "c0ffee"))
    uri = "123456789012.dkr.ecr.eu-west-2.amazonaws.com"
    image = f"{uri}/acme-prod-ingest:c0ffee"
    assert checkout.docker() == [
        f"login --username AWS --password-stdin {uri}",
        f"build -f deploy/aws/Dockerfile -t {image} .",
        f"push {image}",
    ]
    has_private_buckets("prod")
    has_a_pipeline("carrel", "example-app-1", "study-1", "10", "prod")
    before = everything()
    add_a_row(checkout)
    after = everything()
    assert {name: after.get(name) for name in before} == before
    has_a_pipeline("carrel", "mobile-toolbox", "cxhnxd", "20", "prod")
    assert len(after) == len(before) * 2
    s3.put_object(Bucket="acme-prod-warehouse", Key="carrel/a/b/rows", Body=b"rows")
    delete_stacks(checkout)
    assert {f"acme-prod-{name}" for name in BUCKETS} == buckets()
    assert s3.get_object(Bucket="acme-prod-warehouse", Key="carrel/a/b/rows")["Body"].read() == b"rows"
    assert boto3.client("ecr").describe_repositories()["repositories"] != []


def add_a_row(checkout: Checkout) -> None:
    """The image of this commit is there already, so nothing is built."""
    checkout.told.unlink()
    boto3.client("ecr").put_image(
        repositoryName="acme-prod-ingest", imageTag="c0ffee", imageManifest=json.dumps(MANIFEST)
    )
    checkout.add("prod", NEW)
    well(checkout.run("deploy", "prod", "main", "c0ffee"))
    assert checkout.docker() == []


def delete_stacks(checkout: Checkout) -> None:
    """All but the network of `compute`, which moto deletes in an order that it then refuses itself."""
    sceptre = [str(checkout.folder / "programs/sceptre"), "--dir", str(checkout.deploy), "--var", "name=acme"]
    for stack in ("namespaced", *(f"shared/{name}.yaml" for name in ("raw", "warehouse", "artifacts", "repository"))):
        delete = [*sceptre, "delete", "-y", f"prod/{stack}"]
        well(subprocess.run(delete, capture_output=True, text=True, check=False))
    left = [each["StackName"] for each in boto3.client("cloudformation").describe_stacks()["Stacks"]]
    assert left == ["carrel-prod-shared-compute"]


def test_a_branch_comes_with_what_it_needs_and_goes_without_what_is_not_its_own(checkout, s3):
    well(checkout.run("deploy", "develop", "feature/x", "c0ffee", IMAGE_BASE="python:3.12-slim"))
    assert "--build-arg BASE=python:3.12-slim" in checkout.docker()[1]
    (branch,) = list_refs(s3, BUCKETS["artifacts"])
    has_a_pipeline(branch, "example-app-1", "study-1", "10")
    # As the template has it; moto's CloudFormation passes over it.
    s3.put_bucket_versioning(Bucket=BUCKETS["warehouse"], VersioningConfiguration={"Status": "Enabled"})
    for namespace in (branch, "carrel", f"{branch}-2"):
        s3.put_object(Bucket=BUCKETS["warehouse"], Key=f"{namespace}/app/study/tables/x", Body=b"rows")
    well(checkout.run("remove", "develop", "feature/x"))
    # A task definition that is deregistered stays in moto's lists.
    assert [name for name in everything() if ":task-definition/" not in name] == []
    assert list_refs(s3, BUCKETS["artifacts"]) == []
    assert set(BUCKETS.values()) == buckets()
    left = {each.key.split("/")[0] for each in list_versions(s3, BUCKETS["warehouse"], "")}
    assert left == {"carrel", f"{branch}-2"}


@pytest.mark.parametrize(("environment", "branch"), [("develop", "main"), ("prod", "feature/x"), ("prod", "main")])
def test_main_and_production_are_not_removed(checkout, environment, branch):
    done = checkout.run("remove", environment, branch)
    assert done.returncode == 2
    assert "only namespaces of branches" in done.stderr


MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}


def buckets() -> set[str]:
    return {each["Name"] for each in boto3.client("s3").list_buckets()["Buckets"]}


def has_private_buckets(environment: str) -> None:
    s3 = boto3.client("s3")
    assert {f"acme-{environment}-{name}" for name in BUCKETS} == buckets()
    for bucket in buckets():
        rule = s3.get_bucket_encryption(Bucket=bucket)
        method = rule["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        assert method["SSEAlgorithm"] == "AES256"
    (repository,) = boto3.client("ecr").describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"


def has_a_pipeline(namespace: str, app: str, study: str, most: str, environment: str = "develop") -> None:
    name = f"{namespace}-{app}-{study}"
    sqs, functions = boto3.client("sqs"), boto3.client("lambda")
    found = {url.rsplit("/", 1)[1]: url for url in sqs.list_queues()["QueueUrls"]}
    assert {name, f"{name}-dead", f"{name}-invalid"} <= set(found)
    got = sqs.get_queue_attributes(QueueUrl=found[name], AttributeNames=["All"])["Attributes"]
    assert (got["VisibilityTimeout"], got["MessageRetentionPeriod"]) == ("3600", "1209600")
    redrive = json.loads(got["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith(f"{name}-dead")
    assert str(redrive["maxReceiveCount"]) == most
    made = functions.get_function(FunctionName=name)
    assert "Concurrency" not in made
    variables = made["Configuration"]["Environment"]["Variables"]
    (study_made,) = parse_studies(variables["INGEST_STUDIES"]).values()
    assert study_made.warehouse == f"s3://acme-{environment}-warehouse/{namespace}/{app}/{study}"
    assert variables["INGEST_MAPPING"] == f"s3://acme-{environment}-artifacts/Carrel/{namespace}/mapping"
    mapped = functions.list_event_source_mappings()["EventSourceMappings"]
    (trickle,) = [each for each in mapped if each["EventSourceArn"].endswith(f":{name}")]
    assert trickle["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert trickle["ScalingConfig"] == {"MaximumConcurrency": 2}
    tasks = [
        boto3.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
        for arn in boto3.client("ecs").list_task_definitions()["taskDefinitionArns"]
    ]
    (task,) = [each for each in tasks if each["family"] == name]
    assert task["containerDefinitions"][0]["image"].endswith(f"acme-{environment}-ingest:c0ffee")
