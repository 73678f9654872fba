"""Image tags to digests, ahead of time: asked of a registry outside any transaction, remembered with their age.

A registry that is down stops no job whose digest is remembered. Where a backend runs images of its own machine, or
toolchains (`{B}_IMAGES=local`), no registry is asked at all and jobs carry no digest.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated

from pydantic import Field, SecretStr

from carrel.controller import clock, settings
from carrel.controller.models import ImageDigest
from carrel.controller.registry import ImageNotFound, Registry, RegistryError
from carrel.units.settings import EnvironmentSettings, Truth, read_settings

logger = logging.getLogger(__name__)

ASKED_AT_ONCE = 4
LONGEST_NAME = 255


class ImageUnknown(Exception):
    """An image cannot be run: the registry does not have it (user error); the message names it."""


class DigestUnavailable(Exception):
    """The registry does not answer, and nothing is remembered of the image (infrastructure fault)."""


class ImageSettings(EnvironmentSettings):
    """Registry settings, from the environment."""

    docker_registry_username: str = ""
    docker_registry_password: SecretStr = SecretStr("")
    docker_registry_insecure: Truth = False
    """Plain HTTP to a registry that is not on this machine."""
    image_digest_max_age: Annotated[float, Field(ge=0)] = 300.0
    """Seconds for which a remembered digest is used without asking again."""


def from_registry(backend: str) -> bool:
    """Whether images of this backend are pinned to what a registry says."""
    own = settings.get().per_backend.get(backend)
    return own is None or own.images == "registry"


def full_name(image: str) -> str:
    """`python:v2` -> `<DOCKER_REGISTRY>/python:v2`: how images are named in tasks and remembered."""
    return f"{settings.get().docker_registry.rstrip('/')}/{image}"


def make_known(backend: str, images: Iterable[str]) -> None:
    """See to it that the digest of each image (`name:tag`) is remembered, asking the registry where it is not fresh.

    Call outside any transaction. Raises ImageUnknown when the registry says there is no such image, DigestUnavailable
    when it does not answer and nothing is remembered. Does nothing for a backend with local images.
    """
    names = sorted({full_name(image) for image in images})
    if not from_registry(backend):
        return
    if too_long := [name for name in names if len(name) > LONGEST_NAME]:
        raise ImageUnknown(f"The image name {too_long[0][:60]}... is longer than {LONGEST_NAME} characters")
    own = read_settings(ImageSettings)
    remembered = {row.image: row for row in ImageDigest.objects.filter(image__in=names)}
    oldest = clock.now() - timedelta(seconds=own.image_digest_max_age)
    stale_names = [name for name in names if name not in remembered or remembered[name].fetched_at < oldest]
    for name, answer in _digests_of(stale_names, own).items():
        _remember(name, answer, name in remembered)


def try_to_know(backend: str, image: str) -> None:
    """As `make_known` of one image, for a task that goes without a digest where none can be had. Never raises for what
    a registry says or does not say."""
    try:
        make_known(backend, [image])
    except (ImageUnknown, DigestUnavailable) as error:
        logger.warning("The digest of %s is not known: %s", image, error)


def _digests_of(names: list[str], own: ImageSettings) -> dict[str, str | RegistryError]:
    """Digest or fault of each image; several at a time."""
    if not names:
        return {}
    registry = Registry(
        username=own.docker_registry_username,
        password=own.docker_registry_password.get_secret_value(),
        insecure=own.docker_registry_insecure,
    )

    def ask(name: str) -> str | RegistryError:
        try:
            return registry.digest(name)
        except RegistryError as error:
            return error

    with registry, ThreadPoolExecutor(min(ASKED_AT_ONCE, len(names))) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def _remember(name: str, answer: str | RegistryError, remembered: bool) -> None:
    if isinstance(answer, str):
        ImageDigest.objects.update_or_create(image=name, defaults={"digest": answer, "fetched_at": clock.now()})
    elif remembered:
        logger.warning("Using the remembered digest of %s: %s", name, answer)
    elif isinstance(answer, ImageNotFound):
        raise ImageUnknown(str(answer)) from answer
    else:
        raise DigestUnavailable(f"{answer} (This may work if you try again later)") from answer
