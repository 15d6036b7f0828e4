# Tasks of people who work on medbench. `just` lists them; each is one or two plain commands that also work without it.

set shell := ["bash", "-uc"]

python := ".venv/bin/python"

# Test files that use no real model, no server and no other process: 1,338 tests in 41 s of CPU.
fast_tests := "tests/test_{architecture,bombs,budget,choice_benchmarks,claims,clean_subset,closing,compare,durable,extraction,figure_cache,hostile_files,json_text,leaderboard,liveqa_grades,metric_names,odd_values,overrides,plan,records,registry,reuse,run,safety,scripts,seals,sources,splits,startup,summary,text,workload}.py"

_list:
    @just --list --unsorted

# Make .venv with everything that the tests need
setup:
    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e '.[test]'

# Run the fast tests, under a minute; arguments go to pytest
fast *arguments:
    OMP_NUM_THREADS=1 {{ python }} -m pytest {{ fast_tests }} {{ arguments }}

# Run all tests, 10 to 20 minutes on two cores; or those of one file: just test tests/test_plan.py
test *arguments:
    OMP_NUM_THREADS=1 {{ python }} -m pytest -n 2 --dist worksteal {{ arguments }}

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
