"""Rules that look at one output file and return findings. Pure."""
