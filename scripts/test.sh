#!/bin/sh
# The whole suite; then, the database being the difference, the controller's tests again on PostgreSQL.
set -eu
pytest -q "$@"
[ "$#" -gt 0 ] || CARREL_TEST_DATABASE=postgresql pytest -q tests/controller
