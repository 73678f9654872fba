"""Archives as files of a Synapse folder or file view; the record's metadata is the file's annotations.

Credentials and endpoints are those of synapseclient (`SYNAPSE_AUTH_TOKEN`, or `~/.synapseConfig`). Files are
downloaded by the pre-signed URL that Synapse gives, asked for anew for every file, so that none is used after it
expired.
"""

import hashlib
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from carrel.ingest.access_faults import AccessRefused, SourceFault, Unavailable
from carrel.ingest.sources.base import IN_MEMORY, ArchiveChanged, OpenedArchive, PersistentSource
from carrel.ingest.values import ArchiveRef
from carrel.units.parts import how_to_install

FORM = "synapse:syn123, or of a view some files: synapse:syn123?where=SQL-CONDITION"
_SCHEME = "synapse:"
_ID = re.compile(r"^syn[0-9]+$")
_CONTAINERS = frozenset(("folder", "project"))
_VIEWS = frozenset(("entityview", "dataset", "materializedview"))
"""What can be queried for the ids of files."""
_QUERY = 0x1
"""Ask for the rows alone."""
_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True)
class SynapseSettings:
    """How to reach Synapse. `endpoint`: base URL of another server that speaks the same REST API. Picklable."""

    endpoint: str | None = None
    attempts: int = 5
    wait: float = 1.0
    """Seconds before the second attempt; doubled each time."""
    timeout: int = 60

    def client(self) -> Any:
        """This process's client, logged in. Raises AccessRefused, Unavailable."""
        with _lock:
            if self not in _clients:
                _clients[self] = _log_in(self)
            return _clients[self]

    def forget(self) -> None:
        """The next client logs in anew."""
        with _lock:
            _clients.pop(self, None)

    def get(self, uri: str, what: str) -> Any:
        """The JSON that Synapse answers. Raises AccessRefused, Unavailable, ArchiveChanged (not there), SourceFault."""
        return self._call(what, lambda client: client.restGET(uri))

    def post(self, uri: str, body: str, what: str, files: bool = False) -> Any:
        """The JSON that Synapse answers, as for `get`. `files`: ask the service for file handles."""

        def use(client: Any) -> Any:
            return client.restPOST(uri, body, endpoint=client.fileHandleEndpoint if files else None)

        return self._call(what, use)

    def _call(self, what: str, use: Any) -> Any:
        """Once more with a fresh log-in when the credentials are refused: a token may have been renewed."""
        try:
            return _in_our_words(what, use, self.client())
        except AccessRefused:
            self.forget()
            return _in_our_words(what, use, self.client())


_clients: dict[SynapseSettings, Any] = {}
_lock = threading.Lock()


def _log_in(settings: SynapseSettings) -> Any:
    try:
        import synapseclient
    except ImportError:
        raise SourceFault(f"reading Synapse needs its client: {how_to_install('ingest', 'synapse')}") from None

    policy = {"retries": settings.attempts - 1, "wait": settings.wait, "max_wait": 30, "back_off": 2}

    class BoundedSynapse(synapseclient.Synapse):
        """Gives up after our attempts; synapseclient alone goes on for half an hour."""

        def restGET(self, *args: Any, **options: Any) -> Any:
            return super().restGET(*args, **{"retryPolicy": policy, **options})

        def restPOST(self, *args: Any, **options: Any) -> Any:
            return super().restPOST(*args, **{"retryPolicy": policy, **options})

    base = settings.endpoint
    endpoints = {} if base is None else {
        "repoEndpoint": f"{base}/repo/v1",
        "authEndpoint": f"{base}/auth/v1",
        "fileHandleEndpoint": f"{base}/file/v1",
        "portalEndpoint": base,
    }  # fmt: skip
    try:
        client = BoundedSynapse(
            **endpoints, skip_checks=True, silent=True, cache_client=False, http_timeout_seconds=settings.timeout
        )
    except ValueError:  # what it could not read may hold a token
        raise SourceFault("the configuration file of Synapse (~/.synapseConfig) cannot be read; repair it") from None
    _in_our_words("logging in to Synapse", lambda synapse: synapse.login(silent=True), client)
    return client


def _in_our_words(what: str, use: Any, client: Any) -> Any:
    import requests
    from synapseclient.core.exceptions import SynapseAuthenticationError, SynapseHTTPError

    try:
        return use(client)
    except SynapseAuthenticationError:
        raise AccessRefused(f"{what}: Synapse knows no such credentials; set SYNAPSE_AUTH_TOKEN") from None
    except SynapseHTTPError as error:
        raise _fault_of(what, error.response.status_code) from None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise Unavailable(f"{what}: Synapse cannot be reached ({type(error).__name__}); try again") from None


def _fault_of(what: str, status: int) -> Exception:
    if status in (401, 403):
        return AccessRefused(f"{what}: Synapse refused ({status}); the token has expired, or does not allow this")
    if status == 404:
        return ArchiveChanged(f"{what}: it is not there")
    if status == 429 or status >= 500:
        return Unavailable(f"{what}: Synapse answered {status}, several times; try again later")
    return SourceFault(f"{what}: Synapse answered {status}; look whether id and condition are right")


@dataclass(frozen=True, slots=True)
class SynapseSource(PersistentSource):
    """Every file of a folder or project (folders inside too), of a file view or dataset, or one file alone.
    `where`: a condition in SQL, which only views can be asked for."""

    entity: str
    settings: SynapseSettings = field(default_factory=SynapseSettings)
    where: str | None = None

    def __post_init__(self) -> None:
        if not _ID.match(self.entity):
            raise SourceFault(f"{self.entity or 'nothing'} is not an id of Synapse; write {FORM}")

    def list(self) -> Iterator[ArchiveRef]:
        what = f"listing {self.entity}"
        try:
            kind = self.settings.get(f"/entity/{self.entity}/type", what)["type"]
        except ArchiveChanged:
            raise SourceFault(f"{what}: it does not exist, or these credentials do not see it") from None
        if self.where and kind not in _VIEWS:
            raise SourceFault(f"{what}: it is a {kind}; only a view or dataset can be asked with ?where=")
        if kind not in (*_VIEWS, *_CONTAINERS, "file"):
            raise SourceFault(f"{what}: it is a {kind}; name a folder, project, file, file view or dataset")
        for identifier, etag in self._files(kind, what):
            try:
                current = etag or self.settings.get(f"/entity/{identifier}", f"looking up {identifier}")["etag"]
            except ArchiveChanged:  # it went since it was listed
                continue
            yield ArchiveRef(f"{_SCHEME}{identifier}", current)

    def _files(self, kind: str, what: str) -> Iterator[tuple[str, str | None]]:
        """(id, etag if it is known) of every file."""
        if kind == "entityview":
            yield from self._of_view(what)
        elif kind in _VIEWS:  # a row's etag may be that of another version of the file
            yield from ((identifier, None) for identifier, _ in self._of_view(what))
        elif kind in _CONTAINERS:
            yield from ((identifier, None) for identifier in self._of_folder(self.entity, what))
        else:
            yield self.entity, None

    def _of_folder(self, folder: str, what: str) -> Iterator[str]:
        token: str | None = None
        while True:
            body = {"parentId": folder, "includeTypes": ["file", "folder"], "sortBy": "NAME", "nextPageToken": token}
            page = self.settings.post("/entity/children", _json(body), what)
            for child in page["page"]:
                if child["type"].endswith("Folder"):
                    yield from self._of_folder(child["id"], what)
                else:
                    yield child["id"]
            token = page.get("nextPageToken")
            if token is None:
                return

    def _of_view(self, what: str) -> Iterator[tuple[str, str | None]]:
        """Rows of file views carry the files' etags: a large view is listed in a few calls."""
        sql = f"SELECT id FROM {self.entity}" + (f" WHERE {self.where}" if self.where else "")  # noqa: S608 (own view)
        start = {"entityId": self.entity, "query": {"sql": sql}, "partMask": _QUERY}
        page = self._answer("query", start, what)["queryResult"]
        while True:
            rows = page["queryResults"]["rows"]
            yield from ((f"syn{str(row['values'][0]).removeprefix('syn')}", row.get("etag")) for row in rows)
            token = page.get("nextPageToken")
            if token is None:
                return
            page = self._answer("query/nextPage", token, what)

    def _answer(self, name: str, body: dict[str, Any], what: str) -> Any:
        """The answer of a job that Synapse works on for a while."""
        uri = f"/entity/{self.entity}/table/{name}/async"
        token = self.settings.post(f"{uri}/start", _json(body), what)["token"]
        deadline = time.monotonic() + 600
        while True:
            answer = self.settings.get(f"{uri}/get/{token}", what)
            if answer.get("jobState") != "PROCESSING":
                return answer
            if time.monotonic() > deadline:
                raise Unavailable(f"{what}: Synapse works on the query for more than ten minutes")
            time.sleep(min(self.settings.wait, 1.0))

    @contextmanager
    def open(self, ref: ArchiveRef) -> Iterator[OpenedArchive]:
        """The file as it was listed: the entity's etag changes with the file and with every annotation."""
        identifier = ref.uri.removeprefix(_SCHEME)
        entity = self._unchanged(identifier, ref)
        annotations = self.settings.get(f"/entity/{identifier}/annotations2", f"reading annotations of {identifier}")
        with tempfile.TemporaryDirectory(prefix="carrel-synapse-") as folder:
            data = self._download(identifier, entity["dataFileHandleId"], Path(folder) / "archive")
            self._unchanged(identifier, ref)
            yield OpenedArchive(data, _metadata(annotations))

    def _unchanged(self, identifier: str, ref: ArchiveRef) -> Any:
        """The entity as it is now; raises ArchiveChanged when it is not as it was listed."""
        entity = self.settings.get(f"/entity/{identifier}", f"looking up {identifier}")
        if entity["etag"] != ref.etag:
            raise ArchiveChanged(f"{ref.uri} changed since it was listed")
        return entity

    def _download(self, identifier: str, handle: str, file: Path) -> bytes | Path:
        """A download that breaks off, or whose URL expired, is begun again with another URL."""
        import httpx

        for attempt in range(1, self.settings.attempts + 1):
            url, md5 = self._presigned_url(identifier, handle)
            try:
                if _save(url, file, self.settings.timeout) == md5 or md5 is None:
                    return file.read_bytes() if file.stat().st_size <= IN_MEMORY else file
            except httpx.HTTPError:
                pass
            if attempt < self.settings.attempts:
                time.sleep(self.settings.wait * attempt)
        raise Unavailable(f"downloading {identifier}: it broke off, or came damaged, {self.settings.attempts} times")

    def _presigned_url(self, identifier: str, handle: str) -> tuple[str, str | None]:
        """Where the file can be downloaded from, for a while, and its MD5 where Synapse knows it."""
        association = {"fileHandleId": handle, "associateObjectId": identifier, "associateObjectType": "FileEntity"}
        body = {"requestedFiles": [association], "includeFileHandles": True, "includePreSignedURLs": True}
        answer = self.settings.post("/fileHandle/batch", _json(body), f"downloading {identifier}", files=True)
        (file,) = answer["requestedFiles"]
        failure = file.get("failureCode")
        if failure == "NOT_FOUND":
            raise ArchiveChanged(f"the file of {identifier} is not there")
        if failure:
            raise AccessRefused(f"downloading {identifier}: Synapse answered {failure}; check what the token allows")
        return file["preSignedURL"], file.get("fileHandle", {}).get("contentMd5")


def parse_source(text: str) -> SynapseSource:
    """What stands behind `synapse:` (two slashes may follow) on the command line, as FORM says. The condition is all
    behind the equals sign; %XX in it is decoded. Raises SourceFault.
    """
    entity, question, condition = text.removeprefix("//").partition("?")
    key, _, where = condition.partition("=")
    if question and (key != "where" or not where.strip()):
        raise SourceFault(f"?{condition} says nothing of {entity}; write {FORM}")
    return SynapseSource(entity, where=unquote(where) or None)


def _json(body: Any) -> str:
    import json

    return json.dumps(body)


def _save(url: str, file: Path, timeout: float) -> str:
    """Download into the file; the MD5 of what came, in hex."""
    import httpx

    digest = hashlib.md5(usedforsecurity=False)
    with httpx.stream("GET", url, timeout=timeout, follow_redirects=True) as response, file.open("wb") as out:
        response.raise_for_status()
        for chunk in response.iter_bytes(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _metadata(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The metadata in a file's annotations, which are lists, of one value mostly. Keys are in camel case here, in lower
    case in S3."""
    annotations = {key: annotation["value"] for key, annotation in answer.get("annotations", {}).items()}
    return {key: values[0] if len(values) == 1 else values for key, values in annotations.items() if values} or None
