"""What each version of the format asks for or forbids (spec: project-yaml.md section 1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from carrel.project.constants import DEFAULT_POPULATION_SIZE, KNOWN_VERSIONS, LATEST_VERSION
from carrel.project.findings import Findings
from carrel.project.models import Expectations
from carrel.units.limits import MAX_POPULATION_SIZE


@dataclass(frozen=True, slots=True)
class Features:
    """Rules that hold from (or in) a version; None of them where the version cannot be told."""

    unique_outputs: bool = False
    needs_expectations: bool = False
    no_cohortextractor: bool = False
    no_run_all: bool = False
    no_latest: bool = False

    @classmethod
    def of(cls, version: float | None) -> Features:
        if version is None:
            return cls()
        return cls(version >= 2, version == 3, version >= 4, version >= 5, version >= 5)


def read_version(project: dict[Any, Any], findings: Findings) -> float | None:
    """The version, or None (and a finding) where there is none that we know."""
    written = project.get("version")
    if written is None:
        message = (
            "Project file must have a `version` attribute that says which version of the format it is written in "
            f"(current latest version is {LATEST_VERSION})"
        )
        findings.error("version-missing", message, ("version",), key="version" not in project)
        return None
    try:
        version = float(written)
    except (TypeError, ValueError, OverflowError):
        message = f"`version` must be a number between 1 and {LATEST_VERSION}"
        findings.error("version-not-a-number", message, ("version",))
        return None
    return _known_version(version, findings)


def _known_version(version: float, findings: Findings) -> float | None:
    if version > LATEST_VERSION:
        message = f"The latest version is v{LATEST_VERSION}, but got v{version:g}"
        findings.error("version-too-new", message, ("version",))
        return None
    if version not in KNOWN_VERSIONS:
        versions = ", ".join(f"{known_version:g}" for known_version in KNOWN_VERSIONS)
        message = f"`version` {version:g} does not exist (there are {versions})"
        findings.error("version-unknown", message, ("version",), ours=True)
        return None
    if version != LATEST_VERSION:
        message = (
            f"Your project file is using an old version ({version}); consider updating to version {LATEST_VERSION}"
        )
        findings.warn("version-old", message, ("version",))
    return version


def read_expectations(
    project: dict[Any, Any], version: float | None, features: Features, findings: Findings
) -> Expectations | None:
    """Dummy population: forced before version 3, mandatory in 3, forbidden after."""
    if features.needs_expectations:
        return _required_expectations(project, findings)
    if version is None or version < 3:
        return Expectations(DEFAULT_POPULATION_SIZE) if version is not None else None
    if "expectations" in project:
        message = (
            "Project includes `expectations` section, which is not supported in this version. You can safely remove it"
        )
        findings.error("expectations-unsupported", message, ("expectations",), key=True)
    return None


def _required_expectations(project: dict[Any, Any], findings: Findings) -> Expectations | None:
    path = ("expectations",)
    if "expectations" not in project:
        message = "Project must include `expectations` section"
        findings.error("expectations-missing", message, path)
        return None
    section = project["expectations"]
    if not isinstance(section, dict):
        message = "`expectations` section must be a dictionary of key/value pairs"
        findings.error("expectations-type", message, path)
        return None
    unexpected = [key for key in section if key != "population_size"]
    if unexpected:
        message = f"Unexpected parameters ({', '.join(map(str, unexpected))}) in `expectations` section"
        findings.error("expectations-keys", message, (*path, unexpected[0]), key=True)
    return _population(section, findings)


def _population(section: dict[Any, Any], findings: Findings) -> Expectations | None:
    path = ("expectations", "population_size")
    if "population_size" not in section:
        message = "Project `expectations` section must include `population_size` section"
        findings.error("population-missing", message, path)
        return None
    try:
        size = int(section["population_size"])
    except (TypeError, ValueError, OverflowError):
        findings.error("population-not-a-number", "Project expectations population size must be a number", path)
        return None
    if abs(size) > MAX_POPULATION_SIZE:
        message = f"Project expectations population size must be at most {MAX_POPULATION_SIZE}"
        written_out = isinstance(section["population_size"], str)
        findings.error("population-text-large" if written_out else "population-large", message, path, ours=True)
        return None
    return Expectations(size)
