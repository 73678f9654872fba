"""From app archives to versioned tables."""
