"""The carrel command: thin, no logic."""
