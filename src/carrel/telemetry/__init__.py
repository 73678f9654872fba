"""Logs, traces, metrics, error reports and fault points: what every other room may use."""
