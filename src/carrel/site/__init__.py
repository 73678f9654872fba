"""One machine's installation: what `carrel up` and `carrel demo` lay out, start and watch."""
