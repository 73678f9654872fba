"""The review site: inside a backend, beside the medium-privacy store. What leaves is decided here."""
