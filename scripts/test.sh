#!/bin/sh
# The whole suite on two workers; then, the database being the difference, the controller's tests again on PostgreSQL.
# With arguments: just what they name.
set -eu
if [ "$#" -gt 0 ]; then
    exec pytest -q "$@"
fi
pytest -q -n 2 --dist worksteal --durations 15
CARREL_TEST_DATABASE=postgresql pytest -q -n 2 --dist worksteal tests/controller
