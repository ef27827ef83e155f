"""What programs pass to the endpoints, checked against their type hints: Gradio hands on whatever JSON comes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import gradio as gr
from pydantic import ValidationError, validate_call


def checked(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """``endpoint``, called with arguments of its types alone; a sentence names the first that is of another."""
    validated = validate_call(endpoint)

    @functools.wraps(endpoint)
    def call(*given: Any, **named: Any) -> Any:
        try:
            # JSON can escape half a character, which nothing that text goes to can hold.
            json.dumps([given, named], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _refused("An argument holds half a character (a lone surrogate); give whole ones.") from error
        try:
            return validated(*given, **named)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise _refused(
                f"The argument {_name(endpoint, wrong['loc'])} cannot be used ({wrong['msg'].rstrip('.')}); give it as "
                "docs/api.md describes."
            ) from error

    return call


def _refused(sentence: str) -> gr.Error:
    return gr.Error(sentence, title="That did not work", print_exception=False)


def _name(endpoint: Callable[..., Any], place: tuple[int | str, ...]) -> str:
    """Of an argument, which pydantic tells by its number if it was given without its name."""
    first = place[0] if place else 0
    return endpoint.__code__.co_varnames[first] if isinstance(first, int) else str(first)
