"""One YAML file says which file of which record belongs to which dataset, what is forgiven, and how it is kept."""

from carrel.ingest.mapping.loader import MappingInvalid, MappingProblem, load, loads
from carrel.ingest.mapping.model import ForgivenessRule, Mapping, ResolvedOptions

__all__ = ["ForgivenessRule", "Mapping", "MappingInvalid", "MappingProblem", "ResolvedOptions", "load", "loads"]
