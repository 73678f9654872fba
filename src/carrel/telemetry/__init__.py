"""Logs, traces, metrics and fault points: what every other room may use."""
