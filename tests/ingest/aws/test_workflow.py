"""The GitHub workflow that deploys, as a reviewer reads it; nothing here can run it."""

import re
from typing import Any

import pytest
import yaml
from tests.support.cloudformation import DEPLOY, resources

TEXT = (DEPLOY.parents[1] / ".github/workflows/aws.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
DEPLOYING = ("deploy", "remove")


def steps(job: str, using: str) -> list[dict]:
    return [each for each in JOBS[job]["steps"] if str(each.get("uses", "")).startswith(using)]


def scripts(job: str) -> str:
    return "\n".join(each.get("run", "") for each in JOBS[job]["steps"])


def test_it_lints_tests_deploys_and_removes():
    assert list(JOBS) == ["test", "deploy", "remove"]
    assert set(WORKFLOW[True]) == {"push", "delete"}  # YAML's word for `on`
    assert JOBS["deploy"]["needs"] == "test"
    assert "cfn-lint deploy/aws/templates" in scripts("test")
    assert JOBS["test"]["env"]["CI"] == "true"


def test_a_branch_goes_to_develop_and_only_main_to_production():
    chosen = JOBS["deploy"]["strategy"]["matrix"]["environment"]
    assert chosen == """${{ fromJSON(github.ref_name == 'main' && '["develop", "prod"]' || '["develop"]') }}"""
    assert JOBS["remove"]["environment"] == "develop"
    assert "github.event.ref != 'main'" in JOBS["remove"]["if"]
    assert "deploy/aws/remove develop" in scripts("remove")


def test_there_are_no_secrets_and_a_token_only_where_something_is_deployed():
    assert not re.search(r"\$\{\{[^}]*secrets", TEXT)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in JOBS["test"]
    for job in DEPLOYING:
        assert JOBS[job]["permissions"] == {"contents": "read", "id-token": "write"}
        (credentials,) = steps(job, "aws-actions/")
        assert set(credentials["with"]) == {"role-to-assume", "aws-region"}


def test_actions_have_exact_versions_and_checkouts_keep_no_credentials():
    used = re.findall(r"uses: (\S+)", TEXT)
    assert len(used) == 8
    assert [each for each in used if not re.search(r"@(v\d+\.\d+\.\d+|[0-9a-f]{40})$", each)] == []
    for job in JOBS:
        (checkout,) = steps(job, "actions/checkout")
        assert checkout["with"] == {"persist-credentials": False}


@pytest.mark.parametrize("job", JOBS)
def test_what_others_choose_gets_into_no_script(job):
    """A branch's name may be any text: it comes by the environment, and in quotes."""
    assert "${{" not in scripts(job)
    assert not re.search(r'(?<!")\$(BRANCH|ENVIRONMENT|GITHUB_SHA)', scripts(job))


@pytest.mark.parametrize("job", DEPLOYING)
def test_nothing_is_done_where_the_account_is_not_set_up(job):
    first, *others = JOBS[job]["steps"]
    assert first["id"] == "ready"
    assert all(each["if"] == "steps.ready.outputs.yes == 'true'" for each in others)


def test_scripts_are_there_and_get_what_they_ask_for():
    for script in ("deploy", "remove"):
        path = DEPLOY / script
        assert path.stat().st_mode & 0o111
        (step,) = [each for each in JOBS[script]["steps"] if f"deploy/aws/{script}" in each.get("run", "")]
        assert "NAME" in step["env"]
    optional = re.search(r"for setting in ([a-z_ ]+);", (DEPLOY / "deploy").read_text())
    assert optional is not None
    asked = {each.upper() for each in optional[1].split()}
    (step,) = [each for each in JOBS["deploy"]["steps"] if "deploy/aws/deploy" in each.get("run", "")]
    assert asked | {"NAME", "ENVIRONMENT"} == set(step["env"])


def test_the_role_is_for_one_repository_and_one_environment_and_reads_no_data():
    role = resources("github.yaml")["Role"]["Properties"]
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    conditions = trusted["Condition"]["StringEquals"]
    assert conditions["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    assert conditions["token.actions.githubusercontent.com:sub"] == {
        "Sub": "repo:${Repository}:environment:${Environment}"
    }
    allowed = {each["Sid"]: each for each in role["Policies"][0]["PolicyDocument"]["Statement"] if "Sid" in each}
    readers = [name for name, each in allowed.items() if "s3:GetObject" in each["Action"]]
    assert readers == ["Artifacts"]
    assert all("carrel-${Environment}-" in str(allowed[name]["Resource"]) for name in ("Roles", "RolesOfPipelines"))
    assert set(allowed["RolesOfPipelines"]["Condition"]["StringEquals"]) == {"iam:PassedToService"}
