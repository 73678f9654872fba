"""Tables keep the partitions that they were made with: a mapping that says otherwise is not gone along with."""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as AbstractMapping

from carrel.ingest.mapping.model import Mapping

Partitioned = AbstractMapping[str, tuple[str, ...]]
"""dataset -> the columns that its tables are partitioned by"""


class PartitionsChanged(Exception):
    """The mapping partitions a dataset in another way than its tables are."""


def partition_conflicts(mapping: Mapping, built: Partitioned) -> Iterator[str]:
    """What to do about each dataset whose tables are partitioned in another way than the mapping says."""
    for dataset in sorted(built.keys() & mapping.named_datasets()):
        mapped, existing = mapping.options(dataset).partition_by, built[dataset]
        if mapped != existing:
            yield (
                f"the tables of {dataset} are partitioned by {_listed(existing)}, and the mapping says "
                f"{_listed(mapped)}. Tables keep their partitions: write "
                f"`datasets: {{{dataset}: {{partition_by: [{', '.join(existing)}]}}}}` "
                "to go on, or make a new version of the dataset, or ingest anew into another warehouse"
            )


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns) or "nothing"
