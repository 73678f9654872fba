"""What costs much and stays as it is: made once by the first of a run's workers that needs it, read by all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carrel.units.locks import locked


@contextmanager
def shared_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder of the whole run, and whether this worker is to fill it: the others wait until the block is left.

    A worker that fails to fill it leaves that to the next.
    """
    base = factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, filled = run / f"shared-{name}", run / f"shared-{name}.filled"
    folder.mkdir(exist_ok=True)
    with locked(run / f"shared-{name}.lock"):
        yield folder, not filled.exists()
        filled.touch()
