"""Which errors are let pass: the rules of the mapping, applied to a record, a file, and what is broken in it."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from carrel.ingest.json_pointers import parts_of
from carrel.ingest.mapping.clients import client_of, satisfies
from carrel.ingest.mapping.model import ANY, ForgivenessRule, Mapping, base_name
from carrel.ingest.schemas.errors import Parts, Violation
from carrel.ingest.values import Record


def rules_for(
    mapping: Mapping, record: Record, path: str, schema_ids: Sequence[str]
) -> tuple[tuple[str, ForgivenessRule], ...]:
    """The rules (by name) that may let errors of this file pass, whatever the errors are."""
    names = {base_name(path), mapping.plain_name(path)}
    return tuple(
        (name, rule)
        for name, rule in mapping.forgive.items()
        if (rule.file is None or any(fnmatchcase(file, rule.file) for file in names))
        and (rule.schema_id is None or rule.schema_id in schema_ids)
        and _is_about_record(mapping, rule, record)
    )


def _is_about_record(mapping: Mapping, rule: ForgivenessRule, record: Record) -> bool:
    return (
        (rule.app is None or rule.app == mapping.app_of(record))
        and (rule.os is None or rule.os in record.client_info)
        and (rule.assessment is None or rule.assessment == record.assessment_id)
        and (rule.assessment_revision is None or rule.assessment_revision == record.assessment_revision)
        and (rule.app_version is None or satisfies(client_of(record.client_info).app_version, rule.app_version))
    )


def forgives(rule: ForgivenessRule, violation: Violation) -> bool:
    """Does the rule (which is about the file) let this error pass?"""
    return (
        rule.keyword == violation.keyword
        and (rule.property is None or rule.property == violation.property)
        and (rule.expected is None or violation.expected == (rule.expected,))
        and (rule.value is ANY or equal_as_json(rule.value, violation.value))
        and (rule.pointer is None or pointer_fits(rule.pointer, violation.parts))
    )


def equal_as_json(value: object, second: object) -> bool:
    """Whether two values are equal as JSON: true is not 1, though 1 is 1.0."""
    return value == second and isinstance(value, bool) == isinstance(second, bool)


def pointer_fits(pattern: str, parts: Parts) -> bool:
    """Does the JSON pointer fit the pattern? `*` stands for one part, `**` for any number of parts."""
    return _fits(parts_of(pattern), tuple(str(part) for part in parts))


def _fits(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(pattern[1:], parts[skip:]) for skip in range(len(parts) + 1))
    return bool(parts) and pattern[0] in ("*", parts[0]) and _fits(pattern[1:], parts[1:])
