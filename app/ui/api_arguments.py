"""Check what programs pass to the endpoints against their type hints: gradio hands on whatever JSON comes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError, validate_call

from app.ui.widgets import refusal


def checked(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``endpoint``: it is called with arguments of its types alone; an error names the first of another type."""
    validated = validate_call(endpoint)

    @functools.wraps(endpoint)
    def call(*given: Any, **named: Any) -> Any:
        try:
            # JSON can escape half a character, which nothing that text goes to can hold.
            json.dumps([given, named], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise refusal("An argument holds half a character (a lone surrogate); give whole ones.") from error
        try:
            return validated(*given, **named)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise refusal(
                f"The argument {_name(endpoint, wrong['loc'])} cannot be used ({wrong['msg'].rstrip('.')}); give it as "
                "docs/api.md describes."
            ) from error

    return call


def _name(endpoint: Callable[..., Any], place: tuple[int | str, ...]) -> str:
    """Name an argument, which pydantic knows by its number if it was given without its name."""
    first = place[0] if place else 0
    return endpoint.__code__.co_varnames[first] if isinstance(first, int) else str(first)
