"""Faults put into otherwise good records, each with what must become of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from carrel.ingest.values import Disposition
from carrel.synthetic import zips
from carrel.synthetic.shapes import ANYTHING, Content, File

TARGET = "walk_motion.json"
"""Faults go into walking records, and there into this file."""


@dataclass(frozen=True, slots=True)
class SpoiltRecord:
    """How a record is spoilt. `line`: (stage, keyword) of the quarantine line it must leave, None for none."""

    disposition: Disposition = Disposition.INGESTED
    line: tuple[str, str] | None = None
    whole: bool = False
    """The quarantine line is about the archive, and nothing of it is ingested."""
    content: Callable[[Content], Content] | None = None
    entries: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]] | None = None
    zipped: Callable[[bytes], bytes] | None = None
    metadata: Callable[[dict[str, str]], None] | None = None
    source_file: str = TARGET


def _bytes(data: bytes | Callable[[bytes], bytes]) -> Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]:
    def change(entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        return [(name, (data(old) if callable(data) else data) if name == TARGET else old) for name, old in entries]

    return change


def _add(name: str, data: bytes) -> Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]:
    return lambda entries: [*entries, (name, data)]


def _anything(value: Any, dataset: str | None = "Anything_v1") -> Callable[[Content], Content]:
    return lambda content: replace(content, files=(*content.files, File("anything.json", value, dataset, ANYTHING)))


def _target(change: Callable[[File], File]) -> Callable[[Content], Content]:
    return lambda content: replace(
        content, files=tuple(change(file) if file.name == TARGET else file for file in content.files)
    )


def _invalid_row(file: File) -> File:
    *rows, last = file.value
    return replace(file, value=[*rows, {**last, "x": "not a number"}])


def _forget(key: str) -> Callable[[dict[str, str]], None]:
    return lambda metadata: metadata.__delitem__(key)


def _rewrite(key: str, change: Callable[[str], str]) -> Callable[[dict[str, str]], None]:
    return lambda metadata: metadata.update({key: change(metadata[key])})


def _unmapped(content: Content) -> Content:
    files = tuple(replace(file, dataset=None) for file in content.files)
    return replace(content, assessment="never-seen", files=files)


_PARTIAL, _UNREADABLE = Disposition.PARTIAL, Disposition.UNREADABLE


def _json(keyword: str, data: bytes | Callable[[bytes], bytes]) -> SpoiltRecord:
    return SpoiltRecord(_PARTIAL, ("json", keyword), entries=_bytes(data))


FAULT: Mapping[str, SpoiltRecord] = {
    "truncated_zip": SpoiltRecord(_UNREADABLE, ("archive", "zip"), True, zipped=zips.truncate),
    "not_a_zip": SpoiltRecord(
        _UNREADABLE, ("archive", "zip"), True, zipped=lambda _: b"<html>504 Gateway Time-out</html>"
    ),
    "zip_bomb": SpoiltRecord(_UNREADABLE, ("archive", "bomb"), True, zipped=lambda _: zips.bomb(TARGET)),
    "encrypted": SpoiltRecord(_UNREADABLE, ("archive", "encrypted"), True, zipped=zips.mark_encrypted),
    "bad_crc": SpoiltRecord(_PARTIAL, ("archive", "crc"), zipped=lambda data: zips.spoil_crc(data, TARGET)),
    "zip_slip": SpoiltRecord(
        _PARTIAL, ("archive", "path"), entries=_add("../../motion.json", b"[]"), source_file="../../motion.json"
    ),
    "duplicate_name": SpoiltRecord(_PARTIAL, ("archive", "duplicate_name"), entries=_add(TARGET, b"[]")),
    "nested_folder": SpoiltRecord(
        # The file lies in a folder of the zip: found by its base name, told apart by its path.
        content=_target(lambda file: replace(file, name=f"data/{file.name}")),
        entries=lambda entries: [("data/", b""), *entries],
    ),
    "empty_file": _json("empty", b""),
    "nan": _json("nan", b'[{"timestamp": NaN, "x": Infinity}]'),
    "invalid_json": _json("syntax", lambda old: old[:-1]),
    "invalid_utf8": _json("encoding", b'[{"stepPath": "\xff\xfe\xfa"}]'),
    "bom": SpoiltRecord(entries=_bytes(lambda old: b"\xef\xbb\xbf" + old)),
    "utf16": SpoiltRecord(entries=_bytes(lambda old: old.decode().encode("utf-16"))),
    "top_level_scalar": SpoiltRecord(
        _PARTIAL, ("types", "top_level"), content=_anything(42), source_file="anything.json"
    ),
    "array_of_scalars": SpoiltRecord(content=_anything([1, 2.5, "three"])),
    "depth_200": SpoiltRecord(
        _PARTIAL,
        ("json", "depth"),
        content=_anything(json.loads('{"a":' * 200 + "1" + "}" * 200)),
        source_file="anything.json",
    ),
    "big_integer": SpoiltRecord(content=_anything({"big": 2**63, "bigger": 10**40, "small": 5})),
    "no_assessment": SpoiltRecord(_UNREADABLE, ("metadata", "required"), True, metadata=_forget("assessmentid")),
    "no_uploaded_on": SpoiltRecord(_UNREADABLE, ("metadata", "required"), True, metadata=_forget("uploadedon")),
    "uploaded_on_without_millis": SpoiltRecord(metadata=_rewrite("uploadedon", lambda text: text.split(".")[0] + "Z")),
    "uploaded_on_with_offset": SpoiltRecord(
        metadata=_rewrite("uploadedon", lambda text: text.removesuffix("Z") + "+00:00")
    ),
    "unknown_assessment": SpoiltRecord(content=_unmapped),
    "schema_invalid": SpoiltRecord(_PARTIAL, ("schema", "type"), content=_target(_invalid_row)),
}
