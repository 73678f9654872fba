"""What can be set or found is documented."""

import re
from pathlib import Path

import pytest

from carrel.ingest import mapping_checks
from carrel.ingest.mapping.model import ArchiveMapSource, DatasetOptions, Defaults, ForgivenessRule, Mapping
from carrel.ingest.schemas.diff import ChangeClass

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ingest-mapping.md").read_text()


@pytest.mark.parametrize("model", [Mapping, ForgivenessRule, ArchiveMapSource, DatasetOptions, Defaults])
def test_every_key_is_documented(model):
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_finding_and_change_is_documented():
    source = Path(mapping_checks.__file__).read_text()
    codes = set(re.findall(r'Finding\(\s*"\w+",\s*"(\w+)"', source))
    assert len(codes) > 10, "the pattern no longer finds them"
    assert [code for code in codes if f"`{code}`" not in PAGE or f"| {code} |" not in mapping_checks.__doc__] == []
    assert [change for change in ChangeClass if f"`{change}`" not in PAGE] == []
