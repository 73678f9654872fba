"""What the disclosure rules hold outputs to here: the backend's policy file, and the names that its settings add."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from carrel.disclosure.policy import DisclosurePolicy, DisclosurePolicyError, read_disclosure_policy
from carrel.project.document import resolve
from carrel.units.limits import MAX_POLICY_BYTES
from carrel.units.yaml_documents import YamlDocument, YamlFault

_SECTION = "disclosure"
_MAX_DEPTH = 20


def read_policy_file(path: Path | None, identifiers: Iterable[str] = ()) -> DisclosurePolicy:
    """The `disclosure:` mapping of a backend's policy file, and further names of columns that may identify people.

    Without a file the defaults hold. Raises ValueError with a sentence for each mistake of that mapping, with its
    place; what else stands in the file is the review site's.
    """
    policy = DisclosurePolicy() if path is None else _read(path)
    return replace(policy, identifiers=tuple(dict.fromkeys((*policy.identifiers, *identifiers))))


def _read(path: Path) -> DisclosurePolicy:
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_POLICY_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if len(text) > MAX_POLICY_BYTES:
        raise ValueError(f"{path} is longer than {MAX_POLICY_BYTES} bytes")
    try:
        document = YamlDocument(
            text,
            lambda scalar: resolve(scalar.value) if scalar.implicit[0] else scalar.value,  # YAML 1.2
            max_depth=_MAX_DEPTH,
            max_expanded=2 * MAX_POLICY_BYTES,
        )
    except YamlFault as fault:
        raise ValueError(f"{path}:{fault.line}:{fault.column}: {fault.message}") from None
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ValueError(f"{path}: must be a mapping, with `{_SECTION}:` for the rules")
    try:
        return read_disclosure_policy(value.get(_SECTION), _SECTION)
    except DisclosurePolicyError as error:
        line, _ = document.locate((_SECTION,), key=True)
        raise ValueError("\n".join(f"{path}:{line}: {problem}" for problem in str(error).splitlines())) from None
