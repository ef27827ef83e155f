"""Questions without end, made from any text: a number or a name is blanked out, and the answer is what stood there.

Works on token ids with a table of what each token looks like; it knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from transformers import PreTrainedTokenizerBase

INSTRUCTION = "Fill in the blank with the words of the document:"
BLANK = " ____"
#: Most tokens of a span that is blanked out, and of the text shown before and after it.
SPAN, BEFORE, AFTER = 8, 28, 14


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id. ``digit``, ``letters`` (nothing else), ``capital`` (first letter), ``opens`` (begins with a
    space), ``ends`` (closes a sentence or line): bool (vocabulary,). ``bare``: the id of the same piece without its
    space, -1 if there is none.

    ``head``, ``blank``, ``tail``: the parts of a cloze prompt; ``abstain``: the abstention and the end token.
    """

    digit: np.ndarray
    letters: np.ndarray
    capital: np.ndarray
    opens: np.ndarray
    ends: np.ndarray
    bare: np.ndarray
    head: np.ndarray
    blank: np.ndarray
    tail: np.ndarray
    abstain: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, end_token: int) -> Vocabulary:
        from ccf_core.answering.prompt import abstention, question_prompt

        pieces = [cast(str, tokenizer.decode([i])) for i in range(len(tokenizer))]
        ids = {piece: i for i, piece in reversed(list(enumerate(pieces)))}
        words = [piece.strip() for piece in pieces]

        def plain(text: str) -> list[int]:
            return cast(list[int], tokenizer(text, add_special_tokens=False)["input_ids"])

        prompt, marker = question_prompt(tokenizer, INSTRUCTION), plain(INSTRUCTION)
        at = next(i for i in range(len(prompt)) if prompt[i : i + len(marker)] == marker) + len(marker)
        return cls(
            digit=np.array([word.isdecimal() and word.isascii() for word in words]),
            letters=np.array([word.isalpha() for word in words]),
            capital=np.array([word[:1].isupper() for word in words]),
            opens=np.array([piece.startswith(" ") for piece in pieces]),
            ends=np.array([piece.rstrip(" ")[-1:] in tuple(".!?:;\n") for piece in pieces]),
            bare=np.array([ids.get(piece[1:], -1) if piece[:1] == " " else -1 for piece in pieces]),
            head=np.array(prompt[:at]),
            blank=np.array(plain(BLANK)),
            tail=np.array(prompt[at:]),
            abstain=np.array([*abstention(tokenizer), end_token]),
            end=np.array([end_token]),
        )

    @property
    def notable(self) -> np.ndarray:
        """Tokens that a memory loses first: digits and capitalised pieces, bool (vocabulary,)."""
        return self.digit | self.capital


def _runs(flags: np.ndarray) -> np.ndarray:
    """First index of each run of True."""
    return np.flatnonzero(flags & ~np.concatenate(([False], flags[:-1])))


def draw_cloze(
    ids: np.ndarray, vocabulary: Vocabulary, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Draw (prompt, answer with its end token) about a number or name in ``ids``, as likely the one as the other.

    None if the text has neither. A name is a capitalised word that does not begin a sentence, with those after it.
    """
    v = vocabulary
    digit, letters, opens, capital, ends = (t[ids] for t in (v.digit, v.letters, v.opens, v.capital, v.ends))
    inner = np.ones(len(ids), bool)
    inner[:3] = inner[-1:] = False
    numbers = _runs(digit & inner)
    names = np.flatnonzero(
        capital & letters & opens & inner & (v.bare[ids] >= 0) & ~np.concatenate(([True], ends[:-1]))
    )
    kinds = [starts for starts in (numbers, names) if len(starts)]
    if not kinds:
        return None
    starts = kinds[int(rng.integers(len(kinds)))]
    start = int(starts[int(rng.integers(len(starts)))])
    stop = start + 1
    if digit[start]:
        while stop < len(ids) and digit[stop]:
            stop += 1
    else:
        # The rest of the word, then further capitalised words.
        while stop < len(ids) and letters[stop] and (capital[stop] or not opens[stop]):
            stop += 1
    if stop - start > SPAN:
        return None
    first = max(0, start - BEFORE)
    closed = np.flatnonzero(ends[first:start])
    if len(closed) and start - first - closed[-1] > 6:
        first += int(closed[-1]) + 1
    last = min(len(ids), stop + AFTER)
    closed = np.flatnonzero(ends[stop:last])
    if len(closed):
        last = stop + int(closed[0]) + 1
    begun = ids[start : start + 1] if v.bare[ids[start]] < 0 else v.bare[ids[start : start + 1]]
    prompt = np.concatenate((v.head, ids[first:start], v.blank, ids[stop:last], v.tail))
    return prompt.astype(np.int64), np.concatenate((begun, ids[start + 1 : stop], v.end)).astype(np.int64)
