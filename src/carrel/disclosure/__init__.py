"""Rules that look at one output file, or at two versions of it, and return findings; what edits one. Pure."""
