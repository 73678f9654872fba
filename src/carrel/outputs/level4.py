"""The level 4 gate: which moderately sensitive files may be seen by output checkers (agent.md 1.4 and 4.5).

The contract's rules and words, closed where the contract is open: a file that cannot be checked does not pass.
"""

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from carrel.disclosure.findings import IDENTIFYING
from carrel.disclosure.mentions import Mention
from carrel.disclosure.outputs import DEFAULT_POLICY, Look, look_at
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.texts import Unreadable
from carrel.outputs.level4_contents import PATIENT_ID, ContentFacts, inspect
from carrel.project import LEVEL4_FILE_TYPES
from carrel.units.beneath import open_beneath

logger = logging.getLogger(__name__)
MEBIBYTE = 1024 * 1024
MODERATELY_SENSITIVE = "moderately_sensitive"
HIGHLY_SENSITIVE = "highly_sensitive"
MINIMALLY_SENSITIVE = "minimally_sensitive"
_READERS = threading.BoundedSemaphore(2)
"""An image is read whole: many jobs that end at once must not need the memory of many files."""
_WAIT_SECONDS = 0.2


class Cancelled(Exception):
    """What `pulse` raises to end a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What one job's files may be. `max_filesize` in bytes; `file_types` with their dots, lower case."""

    max_filesize: int = 16 * MEBIBYTE
    max_csv_rows: int = 5000
    file_types: Collection[str] = field(default=LEVEL4_FILE_TYPES)
    barred: Collection[str] = (PATIENT_ID,)
    """Names of columns that bar a file, in any case and with any marks in the place of `_`."""
    disclosure: DisclosurePolicy = DEFAULT_POLICY
    """What the disclosure rules hold a file to. They bar nothing, but for `bars_all`."""
    bars_all: bool = False
    """Whether each column that may identify people bars a file too, by the backend's policy."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why a file may not be seen at level 4. `reason` goes to the manifest and the log, `stub` to `<file>.txt`."""

    reason: str
    stub: str


def check_file(root: Path, path: str, limits: GateLimits, pulse: Callable[[], None] = lambda: None) -> Exclusion | None:
    """None when the file `path` below `root` may go to level 4. Never raises for what is in the file.

    `root` must be safe to read below: no component of `path` is followed when it is a symlink. `pulse` is called again
    and again while the file is read; it raises Cancelled to end the check.
    """
    findings = _findings(root, path, limits, pulse)
    if not findings:
        return None
    reason = ",".join(finding.reason for finding in findings)
    return Exclusion(reason, "\n\n".join(finding.stub for finding in findings) + "\n")


def _findings(root: Path, path: str, limits: GateLimits, pulse: Callable[[], None]) -> list[Exclusion]:
    try:
        fd = open_beneath(root, path)
    except (OSError, ValueError):
        return [_unreadable(path, "it cannot be opened")]
    with os.fdopen(fd, "rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > limits.max_filesize:
            return [_too_large(path, size, limits.max_filesize)]
        suffix = suffix_of(path)
        if suffix not in limits.file_types:
            return [_wrong_type(path, suffix, limits.file_types)]
        with _reader_slot(pulse):
            return _content_findings(path, stream, suffix, limits, pulse)


@contextmanager
def _reader_slot(pulse: Callable[[], None]) -> Iterator[None]:
    while not _READERS.acquire(timeout=_WAIT_SECONDS):
        pulse()
    try:
        yield
    finally:
        _READERS.release()


def suffix_of(path: str) -> str:
    """The last suffix in lower case, with its dot; empty for none."""
    return Path(path).suffix.lower()


def _content_findings(
    path: str, stream: BinaryIO, suffix: str, limits: GateLimits, pulse: Callable[[], None]
) -> list[Exclusion]:
    watched = _Pulse(pulse)
    try:
        facts = inspect(stream, suffix, limits.max_filesize, limits.barred, watched)
        stream.seek(0)
        identifying = _identifying(path, look_at(stream, suffix, limits.disclosure, watched)) if limits.bars_all else []
    except Unreadable as error:
        return [_unreadable(path, str(error))]
    except Exception as error:
        if error is watched.raised:
            raise
        # The text of the error may quote the file: only its class is told.
        logger.error("The level 4 gate failed on a file: %s", type(error).__name__)
        return [_unreadable(path, f"the check failed ({type(error).__name__})")]
    findings = [_barred(path, mention, facts) for mention in facts.mentions]
    reasons = {finding.reason for finding in findings}
    findings += [finding for finding in identifying if finding.reason not in reasons]
    if facts.rows > limits.max_csv_rows:
        findings.append(_too_many_rows(path, facts.rows, limits.max_csv_rows))
    elif facts.lines > limits.max_csv_rows:
        findings.append(_too_many_lines(path, facts, limits.max_csv_rows))
    return findings


class _Pulse:
    """Keeps what the caller's pulse raised, to tell it from a fault of the check."""

    def __init__(self, pulse: Callable[[], None]) -> None:
        self._pulse = pulse
        self.raised: BaseException | None = None

    def __call__(self) -> None:
        try:
            self._pulse()
        except BaseException as error:
            self.raised = error
            raise


def _identifying(path: str, look: Look) -> list[Exclusion]:
    """What bars a file where the policy bars every column that may identify people."""
    if look.is_blind:
        return [_unreadable(path, look.unchecked)]
    subjects = dict.fromkeys(finding.subject for finding in look.findings if finding.rule in IDENTIFYING)
    return [
        Exclusion(
            f"File has {subject} column",
            f"The file:\n\n{path}\n\nhas not been made available in level 4 because it has a column that may identify "
            f"people ({subject}).\n\nThis backend does not allow such columns in moderately_sensitive files by policy. "
            "Make the file highly_sensitive, leave the column out, or aggregate it.",
        )
        for subject in subjects
    ]


def disclosure_sentences(
    root: Path, path: str, limits: GateLimits, pulse: Callable[[], None] = lambda: None
) -> list[str]:
    """What the disclosure rules say of a file, for the job's log: it quotes nothing of the file, and bars nothing.

    A sentence for each column that may identify people, and one that counts what the other rules found. A file that
    cannot be looked at says so in a sentence too. Raises what `pulse` raises.
    """
    watched = _Pulse(pulse)
    try:
        with os.fdopen(open_beneath(root, path), "rb") as stream, _reader_slot(pulse):
            if os.fstat(stream.fileno()).st_size > limits.max_filesize:
                return []
            look = look_at(stream, suffix_of(path), limits.disclosure, watched)
    except Exception as error:
        if error is watched.raised:
            raise
        return [f"not checked: the check failed ({type(error).__name__})"]
    if look.is_blind:
        return [f"not checked: {look.unchecked}"]
    sentences = list(dict.fromkeys(finding.message for finding in look.findings if finding.rule in IDENTIFYING))
    others = Counter(finding.rule for finding in look.findings if finding.rule not in IDENTIFYING)
    if others:
        listed = ", ".join(f"{rule} {count}" for rule, count in others.items())
        sentences.append(f"the disclosure rules found: {listed} (`carrel check-outputs` shows the cells)")
    return sentences


def _too_large(path: str, size: int, limit: int) -> Exclusion:
    actual, allowed = f"{size / MEBIBYTE:.1f}", f"{limit / MEBIBYTE:.1f}"
    return Exclusion(
        f"File size of {actual}Mb is larger that limit of {allowed}Mb.",
        f"The file:\n\n{path}\n\nwas {actual}Mb, which is above the limit for moderately_sensitive files of "
        f"{allowed}Mb.\n\n"
        "As such, it has *not* been copied to level 4. Reduce its size, or make it highly_sensitive and summarise it.",
    )


def _wrong_type(path: str, suffix: str, types: Collection[str]) -> Exclusion:
    allowed = ", ".join(sorted(types))
    return Exclusion(
        f"File type of {suffix} is not valid level 4 file",
        f"The file:\n\n{path}\n\nis of type {suffix or '(none)'}, which is not a valid file type for "
        f"moderately_sensitive files.\n\nAs such, it has *not* been copied to level 4. "
        f"The types allowed are: {allowed}.\n"
        "See https://docs.opensafely.org/requesting-file-release/#allowed-file-types",
    )


def _barred(path: str, mention: Mention, facts: ContentFacts) -> Exclusion:
    """The contract's words for a column; a name in another row of a CSV file is told as what it is."""
    name = mention.name
    is_column = facts.header_line in (0, mention.line)
    finding = f"it has a `{name}` column" if is_column else f"`{name}` stands in a cell (line {mention.line})"
    return Exclusion(
        f"File has {name} column" if is_column else finding,
        f"The file:\n\n{path}\n\nhas not been made available in level 4 because {finding}.\n\n"
        "Patient-level data is not allowed in moderately_sensitive files by policy. Make it highly_sensitive, or "
        "aggregate it; if it is not patient-level data, give the column another name.",
    )


def _too_many_rows(path: str, rows: int, limit: int) -> Exclusion:
    return Exclusion(
        f"File row count ({rows}) exceeds maximum allowed rows ({limit})",
        f"The file:\n\n{path}\n\ncontained {rows} rows, which is above the limit for moderately_sensitive files of "
        f"{limit} rows.\n\nAs such, it has *not* been copied to level 4. If you need to release more rows than that, "
        "contact support.",
    )


def _too_many_lines(path: str, facts: ContentFacts, limit: int) -> Exclusion:
    return Exclusion(
        f"File has {facts.lines} lines in {facts.rows} rows, which exceeds maximum allowed rows ({limit})",
        f"The file:\n\n{path}\n\ncontained {facts.lines} lines below its header (in {facts.rows} rows, as cells "
        f"have line breaks), which is above the limit for moderately_sensitive files of {limit} rows.\n\nAs such, it "
        "has *not* been copied to level 4. Take the line breaks out of the cells, or contact support.",
    )


def _unreadable(path: str, why: str) -> Exclusion:
    return Exclusion(
        f"File cannot be checked: {why}",
        f"The file:\n\n{path}\n\nhas not been made available in level 4 because it cannot be checked: {why}.",
    )
