"""Names of images: `registry/path/name:tag@digest`, taken apart and put together. Pure."""


def split_reference(image: str) -> tuple[str, str]:
    """`host:5000/x/python:v2` -> ("host:5000/x/python", "v2"); the colon of a port is none of a tag."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, tag or "latest"


def full_reference(image: str, image_sha: str | None) -> str:
    """The image by its digest where there is one: `host/x/python@sha256:...`."""
    return f"{split_reference(image)[0]}@{image_sha}" if image_sha else image
