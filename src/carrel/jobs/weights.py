"""How much of a pool a job takes: the job-resource-weights file (spec: controller.md section 3.4)."""

from dataclasses import dataclass


class WeightsError(ValueError):
    """The file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Patterns of a job-resource-weights file, ready to be asked."""

    def weight_of(self, workspace: str, action: str, run_command: str) -> float:
        """The first pattern that matches wins: the workspace's own on the action's name, then [default] on the
        run command. 1.0 when none does."""
        raise NotImplementedError


def parse_weights(text: str, filename: str = "job-resource-weights.ini") -> Weights:
    """Read the ini text: a section per workspace (regular expression of the action's whole name = weight), and
    `[default]` (regular expression of the whole run command = weight). `=` is the only delimiter. Empty text: all 1.

    Raises WeightsError.
    """
    raise NotImplementedError
