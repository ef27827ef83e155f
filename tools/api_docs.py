"""Write docs/api.md from the docstrings of the endpoints: ``python -m tools.api_docs > docs/api.md``."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_function_description

HEAD = """# For programs

What the page does, programs can do: the endpoints below have stable names. `python -m tools.api_docs > docs/api.md`
writes this page from the app itself.

With the Python client:

```python
from gradio_client import Client, handle_file

workbench = Client("http://127.0.0.1:7860")
stored = workbench.predict(handle_file("report.pdf"), api_name="/ingest")
document = stored["document"]["sha256"]
answer = workbench.predict("Who signed it?", [document], 4, api_name="/ask")
print(answer["text"])
```

As tools for a language model, over the Model Context Protocol (streamable HTTP), under the same names:

```json
{"mcpServers": {"ccf-workbench": {"url": "http://127.0.0.1:7860/gradio_api/mcp/"}}}
```

A tool's result is text: the value as Python writes it.

In a [public demo](deployment.md) every request carries the key of a visitor, in the header `x-ccf-visitor`, and reaches
that visitor's documents alone. `POST /visitor` gives one to somebody new, `PUT` replaces it, `DELETE` deletes all that
the visitor has; the page copies its own with *Copy my key*:

```python
token = httpx.post("https://demo.example/visitor").json()["token"]
workbench = Client("https://demo.example", headers={"x-ccf-visitor": token})
```

What a caller can mend comes back as an error of one sentence that says how. Documents are named by the SHA-256 of their
text, as `/documents` lists them; segments are counted from 0; bytes are bytes."""


def markdown(page: gr.Blocks) -> str:
    """Make the page: a section for each public endpoint of ``page``, in the order in which they were added."""
    endpoints: Mapping[str, Any] = page.get_api_info()["named_endpoints"]
    functions = {f"/{fn.api_name}": fn.fn for fn in page.fns.values()}
    return "\n\n".join([HEAD, *(_section(name, told, functions[name]) for name, told in endpoints.items())]) + "\n"


def _section(name: str, told: Mapping[str, Any], function: Any) -> str:
    about, meant, returns = get_function_description(function)
    rows = [
        f"| `{p['parameter_name']}` | {p['python_type']['type'].partition('(')[0]} | {_default(p)} "
        f"| {meant[p['parameter_name']]} |"
        for p in told["parameters"]
    ]
    parts = [f"## {name}", about]
    if rows:
        parts.append("\n".join(["| argument | type | if left out | |", "|---|---|---|---|", *rows]))
    return "\n\n".join([*parts, f"Returns {' '.join(returns)}"])


def _default(parameter: Mapping[str, Any]) -> str:
    return f"`{parameter['parameter_default']!r}`" if parameter["parameter_has_default"] else "must be given"


def main() -> None:
    from app.settings import Settings
    from app.ui.page import build
    from app.workbench import Workbench

    with tempfile.TemporaryDirectory() as folder, Workbench(Settings(Path(folder))) as workbench:
        sys.stdout.write(markdown(build(workbench)))


if __name__ == "__main__":
    main()
