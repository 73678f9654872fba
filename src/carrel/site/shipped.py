"""Files that come with Carrel beside its code: examples and the pins of toolchains."""

from pathlib import Path

from carrel.site.layout import SiteError

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Return the path of `examples/...` or `requirements/...`, from an installed wheel or from a checkout."""
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent.parent):
        if (root / name).exists():
            return root / name
    raise SiteError(f"{name} did not come with this installation of Carrel: run this from a checkout")
