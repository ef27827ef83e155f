"""The tasks of ``python -m ccf_core evaluate`` by name.

Each is a module with ABOUT (what is measured, in a sentence or two), DATA (its file of rows in ``data.DATA``),
FIELDS (what a row must have), READERS and ``evaluate(subject, rows, options)``.
"""

from __future__ import annotations

from types import ModuleType

from ccf_core.evaluation import evidence, longqa, needle, peers, perplexity, qa, reconstruct

TASKS: dict[str, ModuleType] = {
    "reconstruct": reconstruct,
    "perplexity": perplexity,
    "qa": qa,
    "longqa": longqa,
    "needle": needle,
    "evidence": evidence,
    "peers": peers,
}
