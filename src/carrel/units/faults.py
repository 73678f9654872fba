"""The operating system's errors as users read them."""


def in_words(error: OSError) -> str:
    """Describe an error as `folder/file: permission denied`, without the number and the quotes that Python adds."""
    if not error.strerror:
        return str(error) or type(error).__name__
    reason = error.strerror[:1].lower() + error.strerror[1:]
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' -> '.join(names)}: {reason}" if names else reason
