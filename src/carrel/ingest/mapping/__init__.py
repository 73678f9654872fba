"""One YAML file says which file of which record belongs to which dataset, what is forgiven, and how it is kept."""

from carrel.ingest.mapping.loading import MappingInvalid, Problem, load, loads
from carrel.ingest.mapping.model import Mapping, Options, Rule

__all__ = ["Mapping", "MappingInvalid", "Options", "Problem", "Rule", "load", "loads"]
