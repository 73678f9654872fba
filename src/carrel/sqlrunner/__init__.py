"""The database action: an SQL file in, CSV, Arrow or Parquet out.

Run as `python -m carrel.sqlrunner query.sql --output output/x.csv`. It streams, so memory does not grow with the
result; it only reads; and what a database says about values stays out of the job's log.
"""
