"""Studies that do harm, made from a seed: by what their jobs leave, by their repository, project file or texts."""

from tests.support.hostile.attacks import Attack, attack, known_attacks

__all__ = ["Attack", "attack", "known_attacks"]
