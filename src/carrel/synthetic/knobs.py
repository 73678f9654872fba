"""What synthetic archives are like: every knob of ingest.md section 5, with defaults that make a small mixed study."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SHAPES = ("task", "tapping", "walking", "self_described", "survey", "android_legacy")
"""The six shapes of section 5, A to F."""

FAULTS = (
    "truncated_zip",
    "bad_crc",
    "not_a_zip",
    "zip_slip",
    "zip_bomb",
    "encrypted",
    "nested_folder",
    "duplicate_name",
    "empty_file",
    "bom",
    "utf16",
    "nan",
    "invalid_json",
    "invalid_utf8",
    "top_level_scalar",
    "array_of_scalars",
    "depth_200",
    "big_integer",
    "no_assessment",
    "no_uploaded_on",
    "uploaded_on_without_millis",
    "uploaded_on_with_offset",
    "unknown_assessment",
    "schema_invalid",
)


@dataclass(frozen=True, slots=True)
class Knobs:
    """Same knobs, same seed: the same bytes. Probabilities are 0 to 1; `hz` per sensor, two sensors a motion file."""

    seed: int = 1
    records: int = 20
    participants: int = 5
    studies: int = 1
    shapes: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(SHAPES, 1.0))
    """Weight of each shape in the mix."""
    android: float = 0.3
    """Share of records from Android (shape F's quirks come only with shape android_legacy)."""
    app_versions: tuple[int, ...] = (73,)
    """Build numbers of the app, record by record in turn."""
    hz: float = 10.0
    seconds: float = 2.0
    steps: tuple[int, int] = (2, 5)
    interactions_per_step: int = 2
    optional_keys: float = 0.7
    """How often a key that may be absent is present."""
    int_noise: float = 0.2
    """How often a whole number is written as an integer where floats are expected."""
    nulls: float = 0.1
    """How often an optional key is there but null, and an optional array is there but empty."""
    odd_keys: float = 0.0
    """How often self-described task data gets keys with dots, spaces, emoji, reserved or colliding names."""
    odd_ids: float = 0.1
    """How often a record id begins with `_`, `-` or a letter chosen to look like an option."""
    late_days: int = 3
    """Upload follows the recording by up to so many days."""
    reexports: float = 0.0
    """Share of records exported again later, with changed content."""
    duplicates: float = 0.0
    """Share of archives delivered twice, byte for byte."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """fault -> how many records get it."""
    withdrawals: int = 0
    """How many participants the withdrawals list names."""
