#!/bin/sh
# The whole suite, on three workers: tests of processes wait for about a third of their time, so that two would leave CI's
# two processors idle. Then, the database being the difference, the tests of the controller and of the job server again
# on PostgreSQL. How long each test took is left in build/tests, and the whole is held to a budget. With arguments: just
# what they name.
set -eu
if [ "$#" -gt 0 ]; then
    exec pytest -q "$@"
fi
reports=build/tests
rm -rf "$reports"
failed=0
pytest -q -n 3 --dist worksteal --junitxml "$reports/suite.xml" || failed=$?
[ "$failed" != 0 ] ||
    CARREL_TEST_DATABASE=postgresql pytest -q -n 3 --dist worksteal --junitxml "$reports/postgresql.xml" tests/controller ||
    failed=$?
[ "$failed" != 0 ] ||
    CARREL_TEST_DATABASE=postgresql python scripts/with_postgresql.py pytest -q -n 3 --dist worksteal \
        --junitxml "$reports/jobserver-postgresql.xml" tests/jobserver || failed=$?
python scripts/durations.py "$reports"
exit "$failed"
