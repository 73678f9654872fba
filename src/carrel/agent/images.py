"""Which images this agent runs, and where they are really pulled from. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

ANY = "*"


@dataclass(frozen=True, slots=True)
class ImagePolicy:
    """`registry`: what must stand before the image's name; `proxy`: what stands there when pulling, where it is set."""

    registry: str
    proxy: str = ""
    names: Collection[str] = (ANY,)

    def allows(self, image: str) -> bool:
        """Whether `registry/name:tag` (or the same from the proxy) is from our registry and of a listed name."""
        prefix, _, last = image.rpartition("/")
        name = last.partition("@")[0].partition(":")[0]
        return prefix in {self.registry.rstrip("/"), self.proxy.rstrip("/")} and (
            ANY in self.names or name in self.names
        )

    def pull_reference(self, image: str) -> str:
        """The image as it is pulled: from the proxy, if there is one."""
        prefix = self.registry.rstrip("/") + "/"
        return self.proxy.rstrip("/") + "/" + image.removeprefix(prefix) if self.proxy else image
