"""project.yaml: text in, checked `Pipeline` out. Pure: no Django, no disk, no network (spec: project-yaml.md)."""

from carrel.project.commands import RunCommand, is_database_action
from carrel.project.constants import LEVEL4_FILE_TYPES, RUN_ALL_COMMAND
from carrel.project.document import Document
from carrel.project.loader import action_names, get_all_output_patterns_from_project_file, load_pipeline
from carrel.project.models import Action, Expectations, Outputs, Resources, RunOn
from carrel.project.pipeline import Pipeline
from carrel.project.problems import Problem, ProjectValidationError, UnknownActionError, YAMLError

__all__ = [
    "LEVEL4_FILE_TYPES",
    "RUN_ALL_COMMAND",
    "Action",
    "Document",
    "Expectations",
    "Outputs",
    "Pipeline",
    "Problem",
    "ProjectValidationError",
    "Resources",
    "RunCommand",
    "RunOn",
    "UnknownActionError",
    "YAMLError",
    "action_names",
    "get_all_output_patterns_from_project_file",
    "is_database_action",
    "load_pipeline",
]
