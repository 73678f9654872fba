"""The templates, as a linter and a reviewer of security read them."""

import json
import subprocess
import sys
from pathlib import Path

import jinja2
from tests.support.cloudformation import TEMPLATES, parsed, resources

from carrel.ingest.aws.counts import log_report
from carrel.ingest.run import Report

ROWS = [
    {"app": "mobile-toolbox", "study": "mtb-alpha", "parameters": {"MaxReceive": 20}},
    {"app": "example-app-1", "study": "study-1", "raw_bucket": "other-raw"},
]


def rendered(rows: list[dict]) -> str:
    """As sceptre renders it: what is not defined is an error."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    template = environment.from_string((TEMPLATES / "studies.yaml.j2").read_text())
    return template.render(sceptre_user_data={"studies": rows})


def test_no_template_has_findings_but_one_that_is_spoiled(tmp_path: Path) -> None:
    """One run of cfn-lint for all: to start it costs more than a template does."""
    texts = {path.name: path.read_text() for path in TEMPLATES.glob("*.yaml")}
    assert len(texts) > 1
    texts["rendered.yaml"] = rendered(ROWS)
    texts["spoiled.yaml"] = texts["bucket.yaml"].replace("Status: Enabled}", "Status: Perhaps}")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    command = [linter, "--format", "parseable", "--regions", "eu-west-2", "--", *texts]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert {line.partition(":")[0] for line in lines} == {"spoiled.yaml"}, lines


def test_each_queue_has_one_policy_since_a_second_would_replace_the_first():
    found = resources("study.yaml")
    queues = [name for name, each in found.items() if each["Type"] == "AWS::SQS::Queue"]
    policies = [each["Properties"] for each in found.values() if each["Type"] == "AWS::SQS::QueuePolicy"]
    assert (
        sorted(each["Queues"][0]["Ref"] for each in policies) == sorted(queues) == ["DeadLetters", "Invalid", "Queue"]
    )
    assert all(len(each["Queues"]) == 1 for each in policies)
    for each in policies:
        assert each["PolicyDocument"]["Statement"][0]["Effect"] == "Deny"


def test_patients_data_is_kept_private_encrypted_and_versioned():
    bucket = resources("bucket.yaml")["Bucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = bucket["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert "BucketEncryption" in properties


def test_no_role_may_do_everything_nor_anything_everywhere():
    found = resources("study.yaml")
    documents = [each["Properties"].get("PolicyDocument") for each in found.values() if "IAM" in each["Type"]]
    documents += [
        policy["PolicyDocument"]
        for each in found.values()
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


def statements(policy: str) -> list[dict]:
    document = resources("bucket.yaml")[policy]["Properties"]["PolicyDocument"]
    return list(document["Statement"])


def test_a_bucket_speaks_only_tls_of_today():
    conditions = [each["Condition"] for each in statements("Policy")]
    assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    assert {"NumericLessThan": {"s3:TlsVersion": "1.2"}} in conditions
    for each in statements("Policy"):
        assert (each["Effect"], each["Principal"], each["Action"], len(each["Resource"])) == ("Deny", "*", "s3:*", 2)


def test_what_was_withdrawn_does_not_stay_as_an_old_version():
    rules = resources("bucket.yaml")["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (old,) = [each for each in rules if "NoncurrentVersionExpiration" in each]
    assert old["Status"] == "Enabled"
    assert not {"Prefix", "TagFilters"} & old.keys()  # of every object
    assert old["NoncurrentVersionExpiration"] == {"NoncurrentDays": {"Ref": "OldVersionDays"}}
    assert old["ExpiredObjectDeleteMarker"] is True


def test_who_may_read_an_object_that_is_not_there_is_told_so():
    """S3 says 404 only to who may list the bucket, and a reading has no prefix: with a plain StringLike it says 403."""
    data = resources("study.yaml")["Data"]["Properties"]["PolicyDocument"]["Statement"]
    listed = [each for each in data if each["Action"] == "s3:ListBucket"]
    assert len(listed) == 3
    assert [list(each["Condition"]) for each in listed] == [["StringLikeIfExists"]] * 3


def test_nothing_waits_fails_or_is_refused_without_an_alarm():
    found = resources("study.yaml")
    alarms = {name: each["Properties"] for name, each in found.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    watched = {name: each.get("MetricName") or _metric(each) for name, each in alarms.items()}
    assert watched == {
        "DeadLettersAlarm": "ApproximateNumberOfMessagesVisible",
        "InvalidAlarm": "ApproximateNumberOfMessagesVisible",
        "OldestAlarm": "ApproximateAgeOfOldestMessage",
        "WaitingAlarm": "WaitedSeconds",
        "TroubledAlarm": "Archives",
        "ThrottlesAlarm": "Throttles",
        "ErrorsAlarm": "Errors",
    }
    filters = [each["Properties"] for each in found.values() if each["Type"] == "AWS::Logs::MetricFilter"]
    made = {each["MetricTransformations"][0]["MetricName"] for each in filters}
    assert made == {"Archives", "Troubled", "WaitedSeconds"}
    assert all(each["AlarmActions"] for each in alarms.values())


def _metric(alarm: dict) -> str:
    return next(each["MetricStat"]["Metric"]["MetricName"] for each in alarm["Metrics"] if "MetricStat" in each)


def test_the_log_has_what_the_metric_filters_read(capsys):
    log_report(Report(run_id="r", dispositions={"ingested": 5, "partial": 1, "unreadable": 1}, failures=["x"]))
    line = json.loads(capsys.readouterr().out)
    assert line == {"carrel": "ingest", "archives": 7, "troubled": 2, "unfetched": 1}
    for each in resources("study.yaml").values():
        if each["Type"] == "AWS::Logs::MetricFilter" and "waited" not in each["Properties"]["FilterPattern"]:
            (made,) = each["Properties"]["MetricTransformations"]
            assert made["MetricValue"].removeprefix("$.") in line
            assert made["MetricValue"] in each["Properties"]["FilterPattern"]
    log_report(Report(run_id=None))
    assert capsys.readouterr().out == ""
