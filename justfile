# Tasks of people who work on medbench. `just` lists them; each is one or two plain commands that also work without it.

python := ".venv/bin/python"

# What to run before every commit: no real models and no servers, under a minute on two idle cores.
fast_tests := "tests/test_architecture.py tests/test_registry.py"

_list:
    @just --list --unsorted

# Make .venv with everything that the tests need
setup:
    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e '.[test]'

# Run the fast tests, under a minute; arguments go to pytest
fast *arguments:
    OMP_NUM_THREADS=1 {{ python }} -m pytest {{ fast_tests }} {{ arguments }}

# Run all tests, about ten minutes; or those of one file: just test tests/test_plan.py
test *arguments:
    OMP_NUM_THREADS=1 {{ python }} -m pytest {{ arguments }}

# Check style and types
lint:
    {{ python }} -m ruff check .
    {{ python }} -m ruff format --check .
    MYPYPATH=.typing {{ python }} -m mypy -p medbench

# Format the code
format:
    {{ python }} -m ruff format .
    {{ python }} -m ruff check --fix .

# What CI runs: a fresh .venv, all tests, style, types, and a wheel of the committed files tried by tests
ci:
    .ci/run

# Build the wheel of the last commit into dist/
wheel:
    {{ python }} -m pip wheel --no-deps -w dist "git+file://{{ justfile_directory() }}"
