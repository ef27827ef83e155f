"""docs/evaluation.md: every task and every reader by question is told, and every option named there exists."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from ccf_core.__main__ import _common
from ccf_core.evaluation import cli
from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.report import page
from ccf_core.evaluation.tasks import TASKS

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def test_tasks_and_options_on_the_page_are_those_of_the_command() -> None:
    parser = argparse.ArgumentParser(conflict_handler="resolve")
    for add in (cli.add_arguments, _common, page.add_arguments):
        add(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    named = set(re.findall(r"--[a-z][a-z-]*", PAGE))
    assert named and named <= known
    told = {name for name, reader in READERS.items() if reader.by_question or reader.memory_dtype or reader.cache_dtype}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)) == {*TASKS, *told}
