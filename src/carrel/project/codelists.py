"""The codelists of a study: `codelists/codelists.txt` says which, `codelists.json` what was fetched, `*.csv` are they.

Format: local-run.md part 2 section 4. Nobody is asked: this is what a study's own files say of each other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

FOLDER, LIST_FILE, MANIFEST_FILE = "codelists", "codelists.txt", "codelists.json"
RUN_UPDATE = "Run `carrel codelists update` to fix this, and commit the files in codelists/."
_TOKEN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")

Manifest = dict[str, dict[str, str]]
"""`{file name: {id, url, downloaded_at, sha}}`."""


class CodelistsUnreadable(ValueError):
    """The list or the manifest is not as it should be."""


@dataclass(frozen=True, slots=True)
class Codelist:
    """One line of `codelists.txt`: `org/list/version`, or `user/name/list/version`."""

    id: str
    line: int = 0

    @property
    def unversioned(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def filename(self) -> str:
        return self.unversioned.replace("/", "-") + ".csv"

    def url(self, base: str) -> str:
        return f"{base}/codelist/{self.id}/"


def parse_list(text: str) -> list[Codelist]:
    """The codelists named in `codelists.txt`; raises CodelistsUnreadable for a bad, double or twice-versioned line."""
    codelists: dict[str, Codelist] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().rstrip("/")
        if not line or line.startswith("#"):
            continue
        codelist = Codelist(_check_id(line, number), number)
        _refuse_clash(codelist, codelists.get(codelist.unversioned))
        codelists[codelist.unversioned] = codelist
    return list(codelists.values())


def _check_id(line: str, number: int) -> str:
    tokens = line.split("/")
    length = 4 if tokens[0] == "user" else 3
    if len(tokens) != length or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise CodelistsUnreadable(
            f"{LIST_FILE}:{number}: {line} is not a codelist: write organisation/list/version or user/name/list/version"
        )
    return line


def _refuse_clash(new: Codelist, old: Codelist | None) -> None:
    if old is None:
        return
    where = f"{LIST_FILE}:{new.line}: "
    if new.id == old.id:
        raise CodelistsUnreadable(f"{where}{new.id} is a duplicate of line {old.line}")
    raise CodelistsUnreadable(f"{where}{new.id} conflicts with version {old.id} on line {old.line}: keep one of them")


def parse_manifest(text: str) -> Manifest:
    """What `codelists.json` says was fetched; raises CodelistsUnreadable."""
    try:
        files = dict(json.loads(text)["files"])
        return {str(name): dict(entry) for name, entry in files.items()}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CodelistsUnreadable(f"{FOLDER}/{MANIFEST_FILE} cannot be read. {RUN_UPDATE}") from None


def sha_of(content: bytes) -> str:
    """SHA-1 of the content with every line ending as a single newline, so that git's conversions do not matter."""
    normal = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return hashlib.sha1(normal, usedforsecurity=False).hexdigest()


def codelist_problems(codelists: Iterable[Codelist], manifest: Manifest, shas: Mapping[str, str]) -> Iterator[str]:
    """What does not fit together, a sentence for each; `shas`: by name, `sha_of` each CSV file in the folder."""
    listed = {codelist.filename: codelist.id for codelist in codelists}
    fetched = {name: entry.get("id") for name, entry in manifest.items()}
    yield from _problems_of("in codelists.txt but not fetched", (i for n, i in listed.items() if fetched.get(n) != i))
    yield from _problems_of(
        "fetched but no longer in codelists.txt", (str(i) for n, i in fetched.items() if listed.get(n) != i)
    )
    yield from _problems_of("missing", sorted(fetched.keys() - shas.keys()))
    yield from _problems_of("not a listed codelist", sorted(shas.keys() - fetched.keys()))
    changed = (name for name, sha in shas.items() if name in manifest and sha != manifest[name].get("sha"))
    yield from _problems_of("changed since it was fetched", changed)


def _problems_of(what: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{name}: {what}" for name in names)
