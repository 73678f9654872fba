"""How to install a part of Carrel that is not there. The one place that says so."""


def how_to_install(*parts: str) -> str:
    """Return the end of a sentence, such as `install it from a clone of Carrel: uv tool install '.[ingest]', or ...`.

    No package index has Carrel: the name there, if it is taken, is somebody else's.
    """
    extras = ",".join(parts)
    return f"install it from a clone of Carrel: uv tool install '.[{extras}]', or pip install '.[{extras}]'"
