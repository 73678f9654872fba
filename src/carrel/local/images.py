"""Images on this machine: what is here, whether the registry has a newer one, and fetching it. Needs an engine."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from carrel.executors.base import ExecutorError, ImageUnavailable
from carrel.executors.engine import Conflict, Engine, NotFound, registry_auth
from carrel.executors.references import split_reference
from carrel.local.settings import LocalSettings, default_tag

STANDARD_IMAGES = ("ehrql", "jupyter", "python", "r", "rstudio", "sqlrunner", "stata-mp")
"""Names that `all` stands for when images are fetched that are not here yet."""


@dataclass(frozen=True, slots=True)
class LocalImage:
    """`reference` as in a task, `id` its content's digest, `digest` the registry's one ("" where it has none)."""

    reference: str
    id: str
    digest: str = ""


def find_image_id(reference: str) -> str | None:
    """Id of an image here, or None: no such image, or no engine to ask."""
    try:
        engine = Engine()
    except ExecutorError:
        return None
    try:
        return str(engine.get(f"/images/{reference}/json")["Id"])
    except ExecutorError:
        return None
    finally:
        engine.close()


class Images:
    """The images of one registry on one engine; every method may raise `ExecutorError`."""

    def __init__(self, engine: Engine, settings: LocalSettings) -> None:
        self.engine, self.settings = engine, settings

    def list_images(self) -> list[LocalImage]:
        """The images here that are of the registry in force, by name."""
        prefix = self.settings.docker_registry + "/"
        images = []
        for record in self.engine.get("/images/json"):
            digests = dict(text.split("@", 1) for text in record.get("RepoDigests") or [])
            for tag in record.get("RepoTags") or []:
                if tag.startswith(prefix):
                    name = split_reference(tag)[0]
                    images.append(LocalImage(tag, record["Id"], digests.get(name, "")))
        return sorted(images, key=lambda image: image.reference)

    def references_to_pull(self, names: list[str], force: bool) -> list[str]:
        """References for what was named (`python`, `python:v2`, `all`); only those here already unless `force`."""
        present = {image.reference for image in self.list_images()}
        if not names or "all" in names:
            all_references = {self.settings.image_named(f"{name}:{default_tag(name)}") for name in STANDARD_IMAGES}
            return sorted(present | all_references if force else present)
        references = [self.settings.image_named(name) for name in dict.fromkeys(names)]
        return [reference for reference in references if force or reference in present]

    def pull(self, reference: str) -> bool:
        """Fetch the registry's present image; True when it is another one than was here, which is then removed."""
        before = self._find_id(reference)
        name, tag = split_reference(reference)
        with self.engine.stream(
            "POST", "/images/create", headers=registry_auth(name), fromImage=name, tag=tag
        ) as progress:
            errors = [line["error"] for line in progress.lines() if "error" in line]
        if errors:
            raise ImageUnavailable(f"{reference} could not be pulled: {errors[0]}")
        after = self._find_id(reference)
        if before and before != after:
            # Nothing is called by the old one any more; where something runs on it still, it stays.
            with contextlib.suppress(Conflict, NotFound):
                self.engine.delete(f"/images/{before}")
        return before != after

    def _find_id(self, reference: str) -> str:
        try:
            return str(self.engine.get(f"/images/{reference}/json")["Id"])
        except NotFound:
            return ""

    def check_freshness(self, image: LocalImage) -> str:
        """`latest version`, `needs update`, or "" when the registry cannot be asked."""
        try:
            answer: dict[str, Any] = self.engine.get(f"/distribution/{image.reference}/json")
        except ExecutorError:
            return ""
        return "latest version" if answer["Descriptor"]["digest"] == image.digest else "needs update"

    def describe(self) -> Iterator[str]:
        """A line for each image here."""
        for image in self.list_images():
            fresh = self.check_freshness(image)
            yield f"{image.reference}  {image.id[:19]}{f'  ({fresh})' if fresh else ''}"
