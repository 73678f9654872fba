"""What there is on this machine to run actions with: the runtime, its limits, and images or toolchains."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from carrel.executors.choice import ENGINES
from carrel.local.execution import scratch_executor, scratch_folder
from carrel.local.settings import LocalSettings

if TYPE_CHECKING:
    from carrel.local.images import Images


def describe_machine(settings: LocalSettings) -> Iterator[str]:
    """Lines about this machine: versions, runtime, images or toolchains. `ExecutorError` when nothing can run here."""
    import platform

    from carrel import __version__

    yield f"carrel version: {__version__}"
    yield f"python version: {platform.python_version()}"
    with scratch_folder() as folder:
        executor = scratch_executor(settings, folder)
        able = executor.capabilities
        yield f"runtime: {able.name}"
        yield f"limits held by: memory {able.memory_limit}, cpu {able.cpu_limit}, processes {able.pids_limit}"
        yield from _image_lines(settings) if able.images else _toolchain_lines(settings)


def _toolchain_lines(settings: LocalSettings) -> Iterator[str]:
    from carrel.executors.toolchains import existing

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield f"machine memory: {memory / 1024**3:.1f}G"
    yield f"machine cpu: {os.cpu_count()}"
    yield f"toolchains in {settings.toolchains_dir}:"
    for toolchain in existing(settings.toolchains_dir):
        yield f"  {toolchain.name}:{toolchain.version}  {toolchain.id[:19]}"


def _image_lines(settings: LocalSettings) -> Iterator[str]:
    with open_images(settings) as images:
        engine = images.engine.get("/info")
        yield f"{images.engine.flavour} memory: {engine['MemTotal'] / 1024**3:.1f}G"
        yield f"{images.engine.flavour} cpu: {engine['NCPU']}"
        yield f"images of {settings.docker_registry}:"
        yield from (f"  {line}" for line in images.describe())


@contextmanager
def open_images(settings: LocalSettings) -> "Iterator[Images]":
    """Images of the engine in force; `RuntimeUnavailable` when there is none."""
    from carrel.executors.engine import Engine
    from carrel.local.images import Images

    engine = Engine(settings.executor if settings.executor in ENGINES else "docker")
    try:
        yield Images(engine, settings)
    finally:
        engine.close()
