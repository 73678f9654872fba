"""What a crate must hold to be the proof of a release; asked when it is made, and when it is verified. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from carrel.review.anchors import ChainHead
from carrel.review.chain import is_hash
from carrel.review.crate.entities import FIVE_SAFES, HEAD, SHP, Entity

METADATA = "ro-crate-metadata.json"
ROOT_PROPERTIES = ("datePublished", "license", "publisher", "sourceOrganization", "mainEntity", "identifier", "version")
STEP_PROPERTIES = ("agent", "endTime", "object", "instrument", "actionStatus")
STEPS = ("CheckValue", "ValidationCheck", "SignOff", "DisclosureCheck", "GenerateCheckValue")


def graph_of(content: Any) -> dict[str, Entity]:
    """Return the entities of a metadata file by their ids; {} where it has no such shape."""
    rows = content.get("@graph") if isinstance(content, dict) else None
    entities = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {row["@id"]: row for row in entities if isinstance(row.get("@id"), str)}


def references(value: Any) -> Iterator[str]:
    """Yield the ids that a property's value names."""
    if isinstance(value, dict) and isinstance(value.get("@id"), str):
        yield value["@id"]
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def files_of(graph: Mapping[str, Entity]) -> list[str]:
    """Return the ids of the files that the crate itself holds: those without a scheme."""
    return [part for part in references(graph.get("./", {}).get("hasPart")) if ":" not in part and part[:1] != "#"]


def faults_of(graph: Mapping[str, Entity]) -> list[str]:
    """Return what a crate lacks, each in a sentence; [] for one that fits the profile as Carrel writes it."""
    root = graph.get("./")
    if root is None or METADATA not in graph:
        return [f"{METADATA} describes no crate."]
    faults = [f"The crate has no {name}." for name in ROOT_PROPERTIES if not root.get(name)]
    if FIVE_SAFES not in references(root.get("conformsTo")):
        faults.append(f"The crate does not say that it conforms to {FIVE_SAFES}.")
    for file in files_of(graph):
        entity = graph.get(file, {})
        if entity.get("@type") != "File" or not is_hash(entity.get("sha256")):
            faults.append(f"{file} is part of the crate and is not described with its SHA-256.")
    kinds = set()
    for target in references(root.get("mentions")):
        step = graph.get(target, {})
        kinds |= {kind.removeprefix(SHP) for kind in references(step.get("additionalType"))}
        # When a job ended is known only as long as its log is there.
        needed = [name for name in STEP_PROPERTIES if name != "endTime" or step.get("@type") != "CreateAction"]
        faults += [f"{target} has no {name}." for name in needed if not step.get(name)]
    faults += [f"The crate tells of no {kind}." for kind in STEPS if kind not in kinds]
    for entity in graph.values():
        for name, value in entity.items():
            missing = [text for text in references(value) if text.startswith("#") and text not in graph]
            faults += [f"{entity['@id']} names {text} as its {name}, which is not described." for text in missing]
    if head_of(graph) is None:
        faults.append("The crate does not name the head of the audit chain.")
    return faults


def head_of(graph: Mapping[str, Entity]) -> ChainHead | None:
    """Return the head of the audit chain that the crate names; None where it names none that can be one."""
    entity = graph.get(HEAD, {})
    word, _, number = str(entity.get("propertyID", "")).partition(" ")
    if word != "event" or not number.isascii() or not number.isdigit() or not is_hash(entity.get("value")):
        return None
    return ChainHead(number=int(number), hash=entity["value"], place="the crate")
