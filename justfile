# `./just` lists the recipes; `./just demo` and `./just test` are all a newcomer needs.
set shell := ["bash", "-euo", "pipefail", "-c"]
export PATH := justfile_directory() / ".venv/bin" + ":" + env("PATH")

_default:
    @just --list --unsorted

# a real study on two backends, in isolation, with classified outputs
demo *ARGS:
    @sh scripts/system.sh need demo
    @carrel demo {{ ARGS }}

# everything CI runs: checks, then all tests on SQLite and the controller's again on PostgreSQL
test *ARGS:
    @sh scripts/system.sh need test
    @just check
    @sh scripts/with-engine.sh sh scripts/test.sh {{ ARGS }}

# the quick tests only: no Docker, no PostgreSQL, nothing slow
test-fast *ARGS:
    pytest -q -m "not docker and not postgresql and not slow" {{ ARGS }}

# throw hostile studies at a backend for SECONDS (an hour), with a seed of its own; ONLY makes a named attack again
soak SECONDS="3600" SEED="" ONLY="":
    @sh scripts/system.sh need demo
    CARREL_SOAK_SECONDS={{ SECONDS }} CARREL_SOAK_SEED={{ if SEED == "" { "$RANDOM" } else { SEED } }} CARREL_SOAK_ONLY={{ quote(ONLY) }} \
        pytest -q -s tests/crash/test_soak.py

# formatting, lint, types, import rules, subjects of commits, paths that pages name
check:
    ruff format --check .
    ruff check .
    mypy
    mypy examples/mobile-assessments/make_data.py examples/health-insurance/load_data.py
    lint-imports
    python scripts/subjects.py
    pytest -q tests/rules/test_named_paths.py

# mend formatting and what lint can mend by itself
fix:
    ruff format .
    ruff check --fix .

# speed, as ratios against a floor measured in the same run
bench *ARGS:
    @sh scripts/system.sh need demo
    python -m benchmarks {{ ARGS }}

# pictures of every page, light and dark, wide and narrow, in build/screenshots: to look at, never committed
screenshots *NAMES:
    @sh scripts/system.sh need test
    python scripts/screenshots.py {{ NAMES }}
    python scripts/review_screenshots.py {{ NAMES }}

# the pictures that the documentation shows, in docs/pictures, made anew: look at each before it is committed
pictures:
    @sh scripts/system.sh need test
    python scripts/screenshots.py --pictures

# make or refresh .venv (the wrapper has done it by the time this runs)
devenv:
    @echo "ready: $(python --version), carrel $(carrel --version)"

# a controller and an agent for each backend on this machine; Ctrl-C stops them
run *ARGS:
    carrel up {{ ARGS }}

# one agent; its settings come from the environment
run-agent *ARGS:
    carrel agent {{ ARGS }}

# the controller's sweep
run-controller *ARGS:
    carrel controller {{ ARGS }}

# the controller's web side (task API and RAP API)
run-app *ARGS:
    carrel web {{ ARGS }}

# create or migrate the controller's database
migrate:
    carrel manage migrate_controller

# submit a study to the local controller: REPO ACTION... --backend B
add-job *ARGS:
    carrel manage add_job {{ ARGS }}

# pin all dependencies anew, with hashes and without any host's name
requirements:
    cd requirements && for set in "dev --all-extras --group ../pyproject.toml:dev" "base --extra ingest -c dev.txt"; do \
        read -r name flags <<< "$set"; \
        uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
            ../pyproject.toml $flags --output-file "$name.txt"; \
    done
    cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-header --quiet python-v2.in --output-file python-v2.txt
    cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-header --quiet bench.in --output-file bench.txt
    cd deploy/aws && for f in requirements image-requirements; do \
        uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
            "$f.in" --output-file "$f.txt"; \
    done
    cd requirements && awk '/^uv==/{p=1;print;next} p&&/--hash/{print;next} {p=0}' dev.txt > bootstrap.txt
