"""The codelists of a study: `codelists/codelists.txt` says which, `codelists.json` what was fetched, `*.csv` are they.

Formats: local-run.md part 2 section 4. The address of OpenCodelists comes from `OPENCODELISTS_BASE_URL`.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from carrel.local.errors import LocalError
from carrel.units.files import write_atomically

DEFAULT_BASE_URL = "https://www.opencodelists.org"
FOLDER, LIST_FILE, MANIFEST_FILE = "codelists", "codelists.txt", "codelists.json"
RUN_UPDATE = "Run `carrel codelists update` to fix this, and commit the files in codelists/."
_TOKEN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


class CodelistsError(LocalError):
    """The codelists are not as they should be, or could not be had."""


class UpstreamChanged(CodelistsError):
    """OpenCodelists says that what is here is not what is there."""


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


def base_url() -> str:
    return os.environ.get("OPENCODELISTS_BASE_URL", DEFAULT_BASE_URL).rstrip("/")


def parse(text: str) -> list[Codelist]:
    """The codelists named in `codelists.txt`; `CodelistsError` for a bad, double or twice-versioned line."""
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
        raise CodelistsError(
            f"{LIST_FILE}:{number}: {line} is not a codelist: write organisation/list/version or user/name/list/version"
        )
    return line


def _refuse_clash(new: Codelist, old: Codelist | None) -> None:
    if old is None:
        return
    where = f"{LIST_FILE}:{new.line}: "
    if new.id == old.id:
        raise CodelistsError(f"{where}{new.id} is a duplicate of line {old.line}")
    raise CodelistsError(f"{where}{new.id} conflicts with version {old.id} on line {old.line}: keep one of them")


def sha_of(content: bytes) -> str:
    """SHA-1 of the content with every line ending as a single newline, so that git's conversions do not matter."""
    normal = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return hashlib.sha1(normal, usedforsecurity=False).hexdigest()


class Codelists:
    """The folder `codelists/` of one study."""

    def __init__(self, study: Path, base: str | None = None) -> None:
        self.folder = study / FOLDER
        self.base = base or base_url()

    def read_list(self) -> list[Codelist]:
        """The codelists that `codelists.txt` names; raises `CodelistsError` when there is none."""
        try:
            return parse((self.folder / LIST_FILE).read_text("utf-8"))
        except FileNotFoundError:
            raise CodelistsError(
                f"No file {FOLDER}/{LIST_FILE} here: add a codelist with `carrel codelists add`"
            ) from None

    def read_manifest(self) -> dict[str, dict[str, str]]:
        """`{file name: {id, url, downloaded_at, sha}}`; empty when there is none yet."""
        try:
            return dict(json.loads((self.folder / MANIFEST_FILE).read_text("utf-8"))["files"])
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError):
            raise CodelistsError(f"{FOLDER}/{MANIFEST_FILE} cannot be read. {RUN_UPDATE}") from None

    def add(self, url: str) -> Codelist:
        """Append the codelist of an OpenCodelists page's address; fetch it; return it."""
        codelist = Codelist(_id_of_url(url))
        path = self.folder / LIST_FILE
        before = path.read_text("utf-8") if path.exists() else ""
        after = f"{before.rstrip()}\n{codelist.id}\n".lstrip("\n")
        parse(after)
        content = self._download(codelist)
        self.folder.mkdir(exist_ok=True)
        write_atomically(path, after.encode(), synced="folder")
        self._update(parse(after), {codelist.filename: content})
        return codelist

    def update(self) -> list[Codelist]:
        """Fetch all, drop CSV files not listed any more, write the manifest; all are fetched before any is changed."""
        codelists = self.read_list()
        self._update(codelists, {})
        return codelists

    def _update(self, codelists: list[Codelist], fetched: Mapping[str, bytes]) -> None:
        content = {c.filename: fetched.get(c.filename) or self._download(c) for c in codelists}
        old: dict[str, dict[str, str]] = {}
        with contextlib.suppress(CodelistsError):
            old = self.read_manifest()
        files = {c.filename: self._entry(c, content[c.filename], old.get(c.filename, {})) for c in codelists}
        for name, body in content.items():
            write_atomically(self.folder / name, body, synced="folder")
        for path in self._csv_files():
            if path.name not in files:
                path.unlink()
        write_atomically(
            self.folder / MANIFEST_FILE, (json.dumps({"files": files}, indent=2) + "\n").encode(), synced="folder"
        )

    def _entry(self, codelist: Codelist, content: bytes, old: Mapping[str, str]) -> dict[str, str]:
        sha = sha_of(content)
        same = old.get("sha") == sha and old.get("id") == codelist.id
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%fZ")
        downloaded_at = old.get("downloaded_at", now) if same else now
        return {"id": codelist.id, "url": codelist.url(self.base), "downloaded_at": downloaded_at, "sha": sha}

    def find_problems(self) -> Iterator[str]:
        """What is wrong here, with no look at OpenCodelists."""
        listed, manifest = {c.filename: c.id for c in self.read_list()}, self.read_manifest()
        fetched = {name: entry.get("id") for name, entry in manifest.items()}
        yield from _problems_of(
            "in codelists.txt but not fetched", (i for n, i in listed.items() if fetched.get(n) != i)
        )
        yield from _problems_of(
            "fetched but no longer in codelists.txt", (str(i) for n, i in fetched.items() if listed.get(n) != i)
        )
        here = {path.name: path for path in self._csv_files()}
        yield from _problems_of("missing", sorted(fetched.keys() - here.keys()))
        yield from _problems_of("not a listed codelist", sorted(here.keys() - fetched.keys()))
        changed = (n for n, p in here.items() if n in manifest and sha_of(p.read_bytes()) != manifest[n].get("sha"))
        yield from _problems_of("changed since it was fetched", changed)

    def check(self) -> None:
        """Raise `CodelistsError` naming every local problem."""
        if problems := list(self.find_problems()):
            raise CodelistsError("\n".join([*problems, RUN_UPDATE]))

    def check_upstream(self) -> None:
        """Ask OpenCodelists whether what is here is still what is there; `UpstreamChanged` when not."""
        body = {
            "codelists": (self.folder / LIST_FILE).read_text("utf-8"),
            "manifest": (self.folder / MANIFEST_FILE).read_text("utf-8"),
        }
        answer = self._request("POST", f"{self.base}/api/v1/check/", data=body)
        try:
            verdict = json.loads(answer)
        except ValueError:
            raise CodelistsError(f"The answer of {self.base} to the check is not JSON") from None
        if not isinstance(verdict, dict) or verdict.get("status") != "ok":
            raise UpstreamChanged("\n".join([*_upstream_differences(verdict), RUN_UPDATE]))

    def _csv_files(self) -> list[Path]:
        return sorted(self.folder.glob("*.csv"))

    def _download(self, codelist: Codelist) -> bytes:
        return self._request("GET", f"{codelist.url(self.base)}download.csv", what=codelist.id)

    def _request(self, method: str, url: str, what: str = "", data: dict[str, str] | None = None) -> bytes:
        import httpx

        from carrel.units.answers import ask

        try:
            with httpx.Client(timeout=30, follow_redirects=True) as client:
                answer = ask(client, method, url, data=data)
        except httpx.HTTPError as error:
            raise CodelistsError(f"Could not reach {self.base}: {error}") from None
        if answer.status_code >= 400:
            raise CodelistsError(_refusal(what, url, answer.status_code, answer.text))
        if what and answer.headers.get("content-type", "").startswith("text/html"):
            raise CodelistsError(f"{what}: {url} is a web page, not a CSV file")
        return answer.content


def _refusal(what: str, url: str, status: int, text: str) -> str:
    if "draft" in text.lower():
        return f"{what} is a draft. Publish it, or use a version that is not a draft."
    if status == 404 and what:
        return f"{what} was not found on OpenCodelists: {url}"
    return f"{url} answered with status {status}"


def _problems_of(what: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{name}: {what}" for name in names)


def _upstream_differences(verdict: object) -> Iterator[str]:
    yield "The codelists here differ from those on OpenCodelists:"
    data = verdict.get("data") if isinstance(verdict, dict) else None
    for reason, names in data.items() if isinstance(data, dict) else ():
        listed = ", ".join(map(str, names)) if isinstance(names, list) else str(names)
        if listed:
            yield f"  {reason}: {listed}"


def _id_of_url(url: str) -> str:
    path = urlsplit(url).path if "://" in url else url
    tokens = [token for token in path.split("/") if token]
    if tokens[:1] == ["codelist"]:
        tokens = tokens[1:]
    size = 4 if tokens[:1] == ["user"] else 3
    return _check_id("/".join(tokens[:size]), 0)
