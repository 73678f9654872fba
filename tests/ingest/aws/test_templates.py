"""The templates and the configuration: linted, launched by sceptre against moto's server, and deleted again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import jinja2
import pytest
import yaml

from carrel.ingest.aws.artifacts import upload
from carrel.ingest.aws.handler import studies_of

DEPLOY = Path(__file__).resolve().parents[3] / "deploy/aws"
TEMPLATES = DEPLOY / "templates"
ROWS = [
    {"app": "mobile-toolbox", "study": "mtb-alpha", "parameters": {"MaxReceive": 20}},
    {"app": "example-app-1", "study": "study-1", "raw_bucket": "other-raw"},
]


def parsed(text: str) -> dict:
    """A template with `!Ref x` and its like read as plain values, for looking at."""

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: yaml.SafeLoader, suffix: str, node: yaml.Node):
        kinds = {yaml.ScalarNode: "scalar", yaml.SequenceNode: "sequence", yaml.MappingNode: "mapping"}
        build = getattr(loader, f"construct_{kinds[type(node)]}")
        value = build(node) if isinstance(node, yaml.ScalarNode) else build(node, deep=True)
        return {suffix: value}

    Loader.add_multi_constructor("!", plain)
    return yaml.load(text, Loader)


def rendered(rows: list[dict]) -> str:
    """As sceptre renders it: what is not defined is an error."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    template = environment.from_string((TEMPLATES / "studies.yaml.j2").read_text())
    return template.render(sceptre_user_data={"studies": rows})


@pytest.fixture
def lint(tmp_path: Path):
    """What cfn-lint says of a template, line by line."""

    def run(text: str) -> list[str]:
        (tmp_path / "template.yaml").write_text(text)
        command = [
            str(Path(sys.executable).with_name("cfn-lint")),
            "--format",
            "parseable",
            "--regions",
            "eu-west-2",
            "--",
            "template.yaml",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).splitlines()

    return run


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.name)
def test_a_template_has_no_findings(path, lint):
    assert lint(path.read_text()) == []


def test_the_rendered_template_has_no_findings(lint):
    assert lint(rendered(ROWS)) == []


def test_the_linter_does_find(lint):
    assert lint((TEMPLATES / "bucket.yaml").read_text().replace("Status: Enabled}", "Status: Perhaps}"))


def test_each_queue_has_one_policy_since_a_second_would_replace_the_first():
    resources = parsed((TEMPLATES / "study.yaml").read_text())["Resources"]
    queues = [name for name, each in resources.items() if each["Type"] == "AWS::SQS::Queue"]
    policies = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::SQS::QueuePolicy"]
    assert (
        sorted(each["Queues"][0]["Ref"] for each in policies) == sorted(queues) == ["DeadLetters", "Invalid", "Queue"]
    )
    assert all(len(each["Queues"]) == 1 for each in policies)
    for each in policies:
        assert each["PolicyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_patients_data_is_kept_private_encrypted_and_versioned():
    bucket = parsed((TEMPLATES / "bucket.yaml").read_text())["Resources"]["Bucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "BucketEncryption" in properties


def test_no_role_may_do_everything_nor_anything_everywhere():
    resources = parsed((TEMPLATES / "study.yaml").read_text())["Resources"]
    documents = [each["Properties"].get("PolicyDocument") for each in resources.values() if "IAM" in each["Type"]]
    documents += [
        policy["PolicyDocument"]
        for each in resources.values()
        if each["Type"] == "AWS::IAM::Role"
        for policy in each["Properties"].get("Policies", ())
    ]
    allowed = [each for document in documents if document for each in document["Statement"]]
    assert len(allowed) >= 10
    for each in allowed:
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        assert not [action for action in actions if "*" in action]
        assert each["Resource"] != "*" or actions == ["ecr:GetAuthorizationToken"]


def test_visibility_is_long_enough_for_lambda_by_default():
    parameters = parsed((TEMPLATES / "study.yaml").read_text())["Parameters"]
    assert parameters["Visibility"]["Default"] >= 6 * parameters["Timeout"]["Default"]
    assert parameters["InvalidAfter"]["Default"] < parameters["MaxReceive"]["Default"]


def test_a_row_is_a_pipeline_with_its_own_parameters():
    resources = parsed(rendered(ROWS))["Resources"]
    alpha, one = (
        resources["Appmobile-toolbox".replace("-", "X") + "StudymtbXalpha"],
        resources["AppexampleXappX1StudystudyX1"],
    )
    assert alpha["Properties"]["Parameters"]["MaxReceive"] == "20"
    assert one["Properties"]["Parameters"]["RawBucket"] == "other-raw"
    wanted = resources["AppmobileXtoolboxStudymtbXalphaSubscription"]["Properties"]["FilterPolicy"]
    assert wanted == {"studyRecords": {"mtb-alpha": {"s3Key": [{"exists": True}]}}}


def test_names_that_differ_only_by_dashes_are_apart():
    rows = [{"app": "a-b", "study": name} for name in ("a-1", "a1", "a-x1")]
    assert len([name for name in parsed(rendered(rows))["Resources"] if name.startswith("App")]) == 6


def test_the_dashboard_is_json():
    body = parsed(rendered(ROWS))["Resources"]["Overview"]["Properties"]["DashboardBody"]["Sub"]
    widgets = json.loads(body)["widgets"]
    assert len(widgets) == 6
    assert [len(each["properties"]["metrics"]) for each in widgets] == [2] * 6


@pytest.fixture
def launch(aws, sceptre):
    """Runs sceptre on the configuration that is committed."""

    def run(*args: str) -> str:
        command = [str(sceptre), "--dir", str(DEPLOY), "--no-colour", *args]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_environment_is_launched_and_a_namespace_deleted_again(launch, s3):
    launch("launch", "-y", "develop/shared")
    _has_private_buckets(s3)
    upload(s3, "carrel-example-develop-artifacts", "feature-x", {"templates": TEMPLATES})
    chosen = ("--var", "namespace=feature-x", "--var", "ref=feature-x", "--var", "image=abc")
    launch(*chosen, "launch", "-y", "develop/namespaced")
    _has_a_pipeline()
    launch(*chosen, "delete", "-y", "develop/namespaced")
    assert "QueueUrls" not in boto3.client("sqs").list_queues()
    assert boto3.client("lambda").list_functions()["Functions"] == []
    assert "carrel-example-develop-warehouse" in _buckets(s3)


def _buckets(s3) -> list[str]:
    return [each["Name"] for each in s3.list_buckets()["Buckets"]]


def _has_private_buckets(s3) -> None:
    names = {f"carrel-example-develop-{name}" for name in ("warehouse", "artifacts", "raw")}
    assert names == set(_buckets(s3))
    rule = s3.get_bucket_encryption(Bucket="carrel-example-develop-warehouse")
    method = rule["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert method["SSEAlgorithm"] == "AES256"
    (repository,) = boto3.client("ecr").describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"


def _has_a_pipeline() -> None:
    name = "feature-x-example-app-1-study-1"
    sqs, functions = boto3.client("sqs"), boto3.client("lambda")
    found = {url.rsplit("/", 1)[1]: url for url in sqs.list_queues()["QueueUrls"]}
    assert set(found) == {name, f"{name}-dead", f"{name}-invalid"}
    got = SimpleNamespace(**sqs.get_queue_attributes(QueueUrl=found[name], AttributeNames=["All"])["Attributes"])
    assert (got.VisibilityTimeout, got.MessageRetentionPeriod) == ("3600", "1209600")
    redrive = json.loads(got.RedrivePolicy)
    assert redrive["deadLetterTargetArn"].endswith(f"{name}-dead")
    assert int(redrive["maxReceiveCount"]) == 10
    made = functions.get_function(FunctionName=name)
    assert made["Concurrency"]["ReservedConcurrentExecutions"] == 1
    variables = made["Configuration"]["Environment"]["Variables"]
    (study,) = studies_of(variables["INGEST_STUDIES"]).values()
    assert study.warehouse == "s3://carrel-example-develop-warehouse/feature-x/example-app-1/study-1"
    assert variables["INGEST_MAPPING"] == "s3://carrel-example-develop-artifacts/Carrel/feature-x/mapping"
    (trickle,) = functions.list_event_source_mappings()["EventSourceMappings"]
    assert trickle["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    (task,) = boto3.client("ecs").list_task_definitions()["taskDefinitionArns"]
    described = boto3.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
    assert described["containerDefinitions"][0]["image"].endswith("carrel-example-develop-ingest:abc")
