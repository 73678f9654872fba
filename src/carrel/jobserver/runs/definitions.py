"""What a run's project.yaml, as it was then, says of its actions on a backend."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from carrel.project import ProjectValidationError, load_pipeline
from carrel.project.loader import PROJECT_FILE


@dataclass(frozen=True, slots=True)
class DefinedAction:
    """What one action needs, and the patterns of its outputs by privacy level and name: (level, name, pattern)."""

    needs: tuple[str, ...] = ()
    outputs: tuple[tuple[str, str, str], ...] = ()


Definition = Mapping[str, DefinedAction]
NOTHING: Definition = MappingProxyType({})


@lru_cache(maxsize=128)
def definition_on(text: str, side_file: str, backend: str) -> Definition:
    """Return the actions of a project file and its backends.yaml on a backend; none where they cannot be read any more.

    Projection may fail where today's rules are stricter than those of the day; a page shows less then, and not nothing.
    """
    try:
        pipeline = load_pipeline(text, PROJECT_FILE, side_file=side_file or None, default_backends=(backend,))
        pipeline = pipeline.for_backend(backend) if pipeline.runs_on(backend) else pipeline
    except ProjectValidationError:
        return NOTHING
    return MappingProxyType(
        {
            name: DefinedAction(
                needs=tuple(action.needs),
                outputs=tuple(
                    (level, output, pattern)
                    for level, patterns in action.outputs.dict().items()
                    for output, pattern in patterns.items()
                ),
            )
            for name, action in pipeline.actions.items()
        }
    )
