"""The house rules that a program can check: which room may import which, and how big the checkout may get."""

from __future__ import annotations

import ast
import graphlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("app", "ccf_core", "store")
SQL = ("sqlite3", "sqlite_utils")
MODELS = ("torch", "transformers")


class Rule(NamedTuple):
    """What a room may import.

    sentence : the rule for people; CONTRIBUTING.md has the same words.
    ours : rooms of ``app``, ``ccf_core`` and ``store`` that it may import, besides itself.
    never : packages of others that it may not.
    """

    sentence: str
    ours: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


LEAVES = ("app.settings", "app.limits", "app.errors", "app.types")
DOCUMENTS = ("ccf_core", "store", *LEAVES, "app.runtime", "app.parsers", "app.documents")
SERVICES = (*DOCUMENTS, "app.answers", "app.analysis", "app.workbench")

#: From the bottom up: a layer imports those before it.
CORE_LAYERS = (
    ("assets", "cli", "config", "device", "digests", "errors", "hub", "metrics", "registry", "rows", "version"),
    ("base", "memory"),
    ("model",),
    ("answering",),
    ("focus", "baselines"),
    ("readers",),
    ("ccf",),
    ("analysis", "training"),
    ("evaluation",),
)
CORE_RULE = "imports only layers that stand before it; never app, store, Gradio or SQL."


def core_rules() -> Iterator[tuple[str, Rule]]:
    below: tuple[str, ...] = ()
    for layer in CORE_LAYERS:
        names = tuple(f"ccf_core.{name}" for name in layer)
        # Within the lowest layers a file may use its neighbours.
        yield from ((name, Rule(CORE_RULE, (*below, *names), ("gradio", *SQL))) for name in names)
        below += names


def leaf_rules() -> Iterator[tuple[str, Rule]]:
    rule = Rule(
        "import nothing of app but one another, and neither torch nor Gradio.",
        (*LEAVES, "ccf_core", "store"),
        ("gradio", *MODELS, *SQL),
    )
    yield from ((leaf, rule) for leaf in LEAVES)


#: Room -> rule; a module belongs to the longest name that its own begins with.
RULES = {
    "store": Rule("imports neither app nor ccf_core, and no torch: a memory is bytes to it.", (), ("gradio", *MODELS)),
    **dict(core_rules()),
    "ccf_core": Rule(
        "(its doors, `__init__` and `__main__`) imports nothing but the core.", ("ccf_core",), ("gradio", *SQL)
    ),
    **dict(leaf_rules()),
    "app.runtime": Rule(
        "imports the leaves and ccf_core; never store, never Gradio.", (*LEAVES, "ccf_core"), ("gradio", *SQL)
    ),
    "app.parsers": Rule(
        "imports nothing of app but itself; never ccf_core, store or torch, for it runs in a sandboxed process.",
        (),
        ("gradio", *MODELS, *SQL),
    ),
    "app.documents": Rule("imports runtime, parsers, the leaves, ccf_core and store.", DOCUMENTS, ("gradio", *SQL)),
    "app.answers": Rule("imports documents and what that may import.", DOCUMENTS, ("gradio", *SQL)),
    "app.analysis": Rule("imports documents and what that may import; never answers.", DOCUMENTS, ("gradio", *SQL)),
    "app.ui.html": Rule(
        "imports services and figures, and makes strings; never Gradio.",
        (*SERVICES, "app.ui.format", "app.ui.figures"),
        ("gradio", *SQL),
    ),
    "app.ui.figures": Rule(
        "imports services and what escapes, and makes plotly figures; never Gradio or torch.",
        (*SERVICES, "app.ui.format", "app.ui.html.escape"),
        ("gradio", *MODELS, *SQL),
    ),
    "app.ui": Rule("imports anything below it; with demo the only room with Gradio.", SERVICES, SQL),
    "app.demo": Rule("imports ui and below; serve alone imports it.", (*SERVICES, "app.ui"), SQL),
    "app.cli": Rule(
        "imports the workbench and what starts the page, lazily, so that `--help` does not wait for torch.",
        (*SERVICES, "app.start"),
        ("gradio", *SQL),
    ),
    "app": Rule("(its top: workbench, serve, start) wires the rooms together.", OURS, SQL),
}
#: SQLite as an engine for ranking passages, in memory: docs/decisions.md.
RANKS_BY_SQL = "ccf_core.focus.bm25"


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Module name -> its file, for all of the three packages."""
    return {module_name(file): file for package in OURS for file in sorted((ROOT / package).rglob("*.py"))}


def imports(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Full names of all that a syntax tree imports, within functions too; ``package`` resolves relative ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield whole if whole in modules() else source


@cache
def imported(module: str) -> frozenset[str]:
    file = modules()[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(imports(ast.parse(file.read_text(encoding="utf-8"), str(file)), package))


def within(name: str, rooms: Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def room_of(module: str) -> str:
    return max((room for room in RULES if within(module, [room])), key=len)


def broken(module: str, names: Iterable[str]) -> list[str]:
    """A sentence for every import among ``names`` that the room of ``module`` forbids."""
    room = room_of(module)
    rule = RULES[room]
    wrong = [
        name
        for name in names
        if (within(name, OURS) and not within(name, (room, *rule.ours))) or within(name, rule.never)
    ]
    return [f"{module} imports {name}, but {room} {rule.sentence}" for name in sorted(wrong)]


@pytest.mark.parametrize("room", RULES)
def test_a_room_imports_only_what_its_rule_allows(room: str) -> None:
    of_room = [module for module in modules() if room_of(module) == room]
    assert of_room, f"{room} has a rule and no module"
    sentences = [sentence for module in of_room for sentence in broken(module, imported(module))]
    allowed = f"{RANKS_BY_SQL} imports sqlite3"
    assert not [sentence for sentence in sentences if not sentence.startswith(allowed)]


def test_no_imports_run_in_a_circle() -> None:
    graph = {
        module: {name for name in imported(module) if name in modules() and name != module} for module in modules()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules
    assert len(graph) > 100


@pytest.mark.parametrize(
    ("module", "line", "sentence"),
    [
        (
            "app.parsers.pdf.reader",
            "import torch",
            "app.parsers.pdf.reader imports torch, but app.parsers imports nothing of app but itself",
        ),
        (
            "app.analysis.savings",
            "from app.answers import ask",
            "but app.analysis imports documents and what that may import",
        ),
        ("app.ui.html.ask", "import gradio as gr", "never Gradio"),
        ("ccf_core.model.decoder", "from ccf_core.ccf import CCF", "imports only layers that stand before it"),
        ("ccf_core.memory.file", "def late():\n    import store", "never app, store, Gradio or SQL"),
        ("store.documents", "from app import types", "a memory is bytes to it"),
        ("app.types", "from app.runtime.model import Model", "app.types import nothing of app but one another"),
    ],
)
def test_a_wrong_import_fails_with_the_sentence_of_its_rule(module: str, line: str, sentence: str) -> None:
    (told,) = broken(module, imports(ast.parse(line)))
    assert sentence in told


def test_people_read_the_rules_that_are_checked() -> None:
    page = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert not {rule.sentence for rule in RULES.values() if rule.sentence not in page}


def test_serve_alone_imports_the_demo() -> None:
    users = {module for module in modules() if any(within(name, ["app.demo"]) for name in imported(module))}
    assert {module for module in users if not within(module, ["app.demo"])} == {"app.serve"}


def test_the_core_opens_no_database_file() -> None:
    source = modules()[RANKS_BY_SQL].read_text(encoding="utf-8")
    assert source.count("connect(") == source.count('connect(":memory:")') == 1


def test_imports_inside_functions_and_relative_ones_are_seen() -> None:
    tree = ast.parse("def late():\n    from . import database\n    from .rows import x\n    import torch.nn")
    assert set(imports(tree, "store")) == {"store.database", "store.rows", "torch.nn"}


def test_app_py_stays_a_doormat() -> None:
    assert len((ROOT / "app.py").read_text(encoding="utf-8").splitlines()) < 60


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_checkout_stays_small() -> None:
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_files()}
    assert sizes
    assert not {name: size for name, size in sizes.items() if size > 9_000_000}
    assert sum(sizes.values()) < 50_000_000
