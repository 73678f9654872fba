"""The codelists of a study on disk (`carrel.project.codelists` says what they are), and how they are fetched.

The address of OpenCodelists comes from `OPENCODELISTS_BASE_URL`.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from carrel.local.errors import LocalError
from carrel.project.codelists import (
    FOLDER,
    LIST_FILE,
    MANIFEST_FILE,
    RUN_UPDATE,
    Codelist,
    CodelistsUnreadable,
    Manifest,
    codelist_problems,
    parse_list,
    parse_manifest,
    sha_of,
)
from carrel.units.files import write_atomically

DEFAULT_BASE_URL = "https://www.opencodelists.org"


class CodelistsError(LocalError):
    """The codelists are not as they should be, or could not be had."""


class UpstreamChanged(CodelistsError):
    """OpenCodelists says that what is here is not what is there."""


def base_url() -> str:
    return os.environ.get("OPENCODELISTS_BASE_URL", DEFAULT_BASE_URL).rstrip("/")


def parse(text: str) -> list[Codelist]:
    """The codelists named in `codelists.txt`; `CodelistsError` for a bad, double or twice-versioned line."""
    try:
        return parse_list(text)
    except CodelistsUnreadable as error:
        raise CodelistsError(str(error)) from None


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

    def read_manifest(self) -> Manifest:
        """`{file name: {id, url, downloaded_at, sha}}`; empty when there is none yet."""
        try:
            return parse_manifest((self.folder / MANIFEST_FILE).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except CodelistsUnreadable as error:
            raise CodelistsError(str(error)) from None

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
        shas = {path.name: sha_of(path.read_bytes()) for path in self._csv_files()}
        return codelist_problems(self.read_list(), self.read_manifest(), shas)

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
    (codelist,) = parse("/".join(tokens[:size]) or "(nothing)")
    return codelist.id
