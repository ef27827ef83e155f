# Each recipe is a line or two that can be typed as well. The program: pip install rust-just

python := if path_exists(".venv/bin/python") == "true" { ".venv/bin/python" } else { "python3" }
pytest := python + " -m pytest -q -n 2 --dist loadfile"

# Lint and the fast tier: one minute on two cores
default: lint fast

# Everything but the browser
test: fast slow

# What has to pass before a change goes in, in a fresh environment
all:
    .ci/run

# The page, at http://127.0.0.1:7860
app:
    {{python}} app.py

# An environment to work in
setup:
    python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt

lint:
    {{python}} -m ruff check . && {{python}} -m ruff format --check .

format:
    {{python}} -m ruff check --fix . && {{python}} -m ruff format .

types:
    {{python}} -m mypy

fast *options:
    {{pytest}} --hypothesis-profile=dev -m "not slow and not model and not browser and not bench" {{options}}

slow *options:
    {{pytest}} -m "(slow or model) and not browser and not bench" {{options}}

browser *options:
    {{python}} -m tests.browser {{options}}

# Pictures of the page for the docs, on a machine that has no other work
pictures:
    {{python}} -m tests.browser.pictures

# Time and memory
bench *options:
    {{python}} -m pytest -m bench {{options}}

# The browser tests again and again on a machine that has other work
busy runs="10" *options:
    {{python}} -m tests.browser.busy {{runs}} {{options}}
