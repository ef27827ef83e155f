"""Recognise the front matter of a Markdown file."""

import re
import tomllib
from collections.abc import Mapping

import yaml

_FENCED = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.{0,20000}?)\n(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_KEY = re.compile(r"\w[\w .:/@-]{0,80}")


def split_front_matter(source: str) -> tuple[str, str, str]:
    """Split a source into its front matter, the title in it, and the rest.

    Front matter is a mapping in YAML or TOML; other text between two rules is part of the rest.
    """
    fenced = _FENCED.match(source)
    values = _values(fenced.group(1), fenced.group(2)) if fenced else {}
    if not fenced or not values:
        return "", "", source
    title = next((value for key, value in values.items() if key.lower() == "title" and isinstance(value, str)), "")
    return fenced.group(2).strip("\n"), title, source[fenced.end() :]


def _values(fence: str, text: str) -> Mapping[str, object]:
    try:
        # The base loader makes texts, lists and mappings, nothing else.
        values = tomllib.loads(text) if fence == "+++" else yaml.BaseLoader(text).get_single_data()
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError, TypeError):
        return {}
    is_mapping = isinstance(values, dict) and all(isinstance(key, str) and _KEY.fullmatch(key) for key in values)
    return values if is_mapping else {}
