"""What a publication is beside its files: what it changes, where it came from, how it is cited. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from carrel.pages.templatetags.pages import day
from carrel.units.words import joined

COMMIT = re.compile(r"[0-9a-f]{7,64}")
CITED_COMMIT = 12
"""Letters of a commit in a citation: enough for any repository, and a line stays a line."""


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """What made a released file, as its backend's review site told; empty where it did not."""

    action: str = ""
    job: str = ""
    request: str = ""
    commit: str = ""
    repo: str = ""


def origin_of(metadata: Mapping[str, object]) -> FileOrigin:
    """Read the metadata of a released file; what is no text, or no commit, counts for nothing."""

    def text(name: str) -> str:
        value = metadata.get(name)
        return value[:200] if isinstance(value, str) else ""

    commit = text("commit").lower()
    return FileOrigin(
        action=text("action"),
        job=text("job_id"),
        request=text("job_request"),
        commit=commit if COMMIT.fullmatch(commit) else "",
        repo=text("repo"),
    )


@dataclass(frozen=True, slots=True)
class DraftChanges:
    """Files of a draft against what is public: by `<backend>/<path>`."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def words(self) -> str:
        """Return `2 new, 1 changed, 3 as published, 1 left out`."""
        parts = ((self.new, "new"), (self.changed, "changed"), (self.same, "as published"), (self.left_out, "left out"))
        return ", ".join(f"{len(names)} {word}" for names, word in parts if names) or "no file"


def changes(drafted: Mapping[str, str], public: Mapping[str, str]) -> DraftChanges:
    """Compare a draft with the latest publication; both are hashes by name."""
    both = sorted(set(drafted) & set(public))
    return DraftChanges(
        new=tuple(sorted(set(drafted) - set(public))),
        changed=tuple(name for name in both if drafted[name] != public[name]),
        same=tuple(name for name in both if drafted[name] == public[name]),
        left_out=tuple(sorted(set(public) - set(drafted))),
    )


def citation(
    *,
    project: str,
    workspace: str,
    version: int,
    published_at: datetime,
    backends: Iterable[str],
    commits: Iterable[str],
    address: str,
) -> str:
    """Return in a line what a paper calls a publication."""
    code = sorted({commit[:CITED_COMMIT] for commit in commits if commit})
    made = f"; code at commit {joined(code)}" if code else ""
    return (
        f"{project}: {workspace}, version {version}. Published {day(published_at)}. "
        f"Outputs of {joined(backends)}{made}. {address}"
    )
