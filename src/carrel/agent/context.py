"""What every attempt of one agent shares."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from carrel.agent.images import ImagePolicy
from carrel.agent.settings import AgentSettings
from carrel.agent.storage import Storage
from carrel.executors.base import Executor
from carrel.repos import Mirrors


class Locks:
    """One lock per workspace, made when first asked for."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def of(self, workspace: str) -> threading.Lock:
        """The lock of that workspace, the same whoever asks."""
        with self._guard:
            return self._locks[workspace]


@dataclass(frozen=True, kw_only=True)
class AgentContext:
    """Settings, disk, runtime, git, and the locks under which workspaces are changed."""

    settings: AgentSettings
    storage: Storage
    executor: Executor
    mirrors: Mirrors
    images: ImagePolicy
    locks: Locks = field(default_factory=Locks)

    def host_path(self, path: Path) -> Path:
        """`path` as the container engine's host sees it."""
        host = self.settings.docker_host_volume_dir
        if host and path.is_relative_to(self.storage.volumes):
            return host / path.relative_to(self.storage.volumes)
        return path
