"""Greedy decoding in a cache with room: token for token what ``Decoder.generate`` gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccf_core import CCF
from ccf_core.decoder import Prefix
from ccf_core.evaluation.greedy import PATIENCE, greedy

Rows = tuple[list[Prefix | None], list[list[int]]]


def rows_of(ccf: CCF, text_ids: Callable[..., list[int]]) -> Rows:
    """Prefixes and prompts of several lengths, with and without slots."""
    prefixes = [ccf.decoder.prefix(ccf.compress(text_ids(n, n)).at(ratio)) for n, ratio in ((9, 4), (70, 8), (200, 4))]
    return [*prefixes, None], [[3], text_ids(5), text_ids(9, 1), text_ids(20, 2)]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
def test_tokens_are_those_of_generate(make_ccf: Callable[..., CCF], text_ids: Callable, family: str) -> None:
    ccf = make_ccf(family, model={"sliding_window": None} if family == "mistral" else None)
    prefixes, prompts = rows_of(ccf, text_ids)
    expected = ccf.decoder.generate(prefixes, prompts, max_new_tokens=40, exactly=True)
    assert greedy(ccf.decoder, prefixes, prompts, 40, exactly=True) == expected
    assert {len(ids) for ids in expected} == {40}


@pytest.mark.parametrize("new", [1, PATIENCE, 3 * PATIENCE + 1])
def test_rows_end_at_their_end_tokens(make_ccf: Callable[..., CCF], text_ids: Callable, new: int) -> None:
    ccf = make_ccf()
    prefixes, prompts = rows_of(ccf, text_ids)
    free = greedy(ccf.decoder, prefixes, prompts, 40, exactly=True)
    # Tokens that come up, some soon and some late.
    ccf.model.generation_config.eos_token_id = [free[0][1], free[1][6], free[2][12], free[3][3]]
    cut = greedy(ccf.decoder, prefixes, prompts, new)
    assert cut == ccf.decoder.generate(prefixes, prompts, max_new_tokens=new)
    assert len(cut[0]) <= 1 and (new == 1 or len({len(ids) for ids in cut}) > 1)


def test_the_repeat_token_is_never_written(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    ccf = make_ccf()
    prefixes, prompts = rows_of(ccf, text_ids)
    likeliest = greedy(ccf.decoder, prefixes, prompts, 1, exactly=True)[0][0]
    other = make_ccf(repeat_token=likeliest)
    assert likeliest not in greedy(other.decoder, prefixes, prompts, 20, exactly=True)[0]


def test_prefixes_can_be_used_again(make_ccf: Callable[..., CCF], text_ids: Callable) -> None:
    ccf = make_ccf()
    prefixes, prompts = rows_of(ccf, text_ids)
    for which in ([0, 1, 2, 3], [1], [3]):
        given = [prefixes[i] for i in which], [prompts[i] for i in which]
        assert greedy(ccf.decoder, *given, 12) == greedy(ccf.decoder, *given, 12)
