"""CloudFormation templates, read as plain values for looking at."""

from pathlib import Path
from typing import Any

import boto3
import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy/aws"
TEMPLATES = DEPLOY / "templates"


def parsed(text: str) -> dict[str, Any]:
    """A template with `!Ref x` and its like read as `{"Ref": "x"}`."""

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
        kinds = {yaml.ScalarNode: "scalar", yaml.SequenceNode: "sequence", yaml.MappingNode: "mapping"}
        build = getattr(loader, f"construct_{kinds[type(node)]}")
        value = build(node) if isinstance(node, yaml.ScalarNode) else build(node, deep=True)
        return {suffix: value}

    Loader.add_multi_constructor("!", plain)
    made: dict[str, Any] = yaml.load(text, Loader)
    return made


def resources(name: str) -> dict[str, Any]:
    """The resources of a template of ours."""
    found: dict[str, Any] = parsed((TEMPLATES / name).read_text())["Resources"]
    return found


def launch_study(app: str, study: str, image: str, **more: str) -> dict[str, str]:
    """The outputs of a study's stack, launched in moto in the namespace `carrel`. Its queue feeds no function: moto's
    event source knows no container images, so the test is the event source.
    """
    given = {
        "Namespace": "carrel",
        "App": app,
        "Study": study,
        "ArtifactsRef": "main",
        "ImageUri": image,
        "RepositoryArn": "arn:aws:ecr:eu-west-2:123456789012:repository/x",
        "WarehouseBucket": "warehouse",
        "ArtifactsBucket": "artifacts",
        "RawBucket": "raw",
        **more,
    }
    name = f"carrel-{app}-{study}"
    stacks, functions = boto3.client("cloudformation"), boto3.client("lambda")
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    stacks.create_stack(StackName=name, TemplateBody=(TEMPLATES / "study.yaml").read_text(), Parameters=parameters)
    (mapped,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapped["UUID"], Enabled=False)
    (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
