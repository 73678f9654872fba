"""The reference page shows files that are accepted, and names every key, level and file type."""

import re
from pathlib import Path

from carrel.project import LEVEL4_FILE_TYPES, load_pipeline
from carrel.project.actions import ACTION_KEYS
from carrel.project.constants import LEVELS
from carrel.project.loader import PROJECT_KEYS
from carrel.project.resources import KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "project-yaml.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


def test_examples_are_accepted() -> None:
    files = [block for block in BLOCKS if block.startswith("version:")]
    assert len(files) == 2
    for file in files:
        assert load_pipeline(file).warnings == ()


def test_the_side_file_of_the_example_goes_with_a_project() -> None:
    (side,) = (block for block in BLOCKS if block.startswith("run_on:"))
    project = next(block for block in BLOCKS if "analysis/dataset.py" in block).replace("dataset.py", "dataset_tpp.py")
    assert load_pipeline(project, side_file=side).for_backend("emis").actions["extract"].run.parts[2] == (
        "analysis/dataset_emis.py"
    )


def test_nothing_is_left_out() -> None:
    words = set(re.findall(r"[\w.]+", PAGE))
    assert words >= {*PROJECT_KEYS, *ACTION_KEYS, *LEVELS, *KEYS, *LEVEL4_FILE_TYPES}
