"""The database action: an SQL file in, CSV, Arrow or Parquet out."""
