"""Turns rows into token arrays, once, and reads them back from the one file that holds them.

Text rows are {"text", …}, question rows {"context", "question", "answers", …}, as ``ccf_core.rows`` reads them.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ccf_core.answering.prompt import question_prompt
from ccf_core.errors import TrainingError
from ccf_core.training.data.cloze import Vocabulary
from ccf_core.training.data.synthetic_facts import facts

_RAGGED = ("texts", "contexts", "prompts", "answers", "statements", "fact_prompts", "fact_answers")


@dataclass(frozen=True)
class Ragged:
    """Arrays of different lengths in one: item i is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, items: Iterable[Sequence[int]], dtype: type = np.int32) -> Ragged:
        arrays: list[np.ndarray] = [np.asarray(item, dtype=dtype) for item in items]
        ids = np.concatenate(arrays) if arrays else np.zeros(0, dtype)
        return cls(ids, np.cumsum([0, *map(len, arrays)]))

    @classmethod
    def none(cls) -> Ragged:
        return cls.of([])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)


@dataclass(frozen=True)
class TrainingData:
    """Token arrays of all documents, all contexts, and the questions (prompt, answer) of each context; a look at
    each token of the vocabulary; made-up facts, each a statement and a question about it.

    ``question_of[c]`` … ``question_of[c + 1]`` are the questions of context c. ``context_weights`` (contexts,)
    float64: how often each is drawn, relative to the others; empty where all are drawn alike. ``tokenizer``: its
    fingerprint, empty where it is not known.
    """

    texts: Ragged
    contexts: Ragged
    prompts: Ragged
    answers: Ragged
    question_of: np.ndarray
    vocabulary: Vocabulary
    statements: Ragged = field(default_factory=Ragged.none)
    fact_prompts: Ragged = field(default_factory=Ragged.none)
    fact_answers: Ragged = field(default_factory=Ragged.none)
    context_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    tokenizer: str = ""

    def save(self, path: str | Path) -> None:
        arrays: dict[str, Any] = {name: getattr(self, name) for name in ("question_of", "context_weights", "tokenizer")}
        for name in _RAGGED:
            ragged = getattr(self, name)
            arrays |= {f"{name}.ids": ragged.ids, f"{name}.offsets": ragged.offsets}
        arrays |= {f"vocabulary.{name}": array for name, array in vars(self.vocabulary).items()}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> TrainingData:
        """Read what ``save`` wrote. Raises TrainingError for any other file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                ragged: dict[str, Any] = {
                    name: Ragged(file[f"{name}.ids"], file[f"{name}.offsets"])
                    for name in _RAGGED
                    if f"{name}.ids" in file  # written before there were facts, it has none
                }
                looks = {f.name: file[f"vocabulary.{f.name}"] for f in fields(Vocabulary)}
                later: dict[str, Any] = {n: file[n] for n in ("context_weights", "tokenizer") if n in file}
                later["tokenizer"] = str(later.get("tokenizer", ""))
                return cls(**ragged, question_of=file["question_of"], vocabulary=Vocabulary(**looks), **later)
        # Without a context manager's method it is a plain array, in a file of another kind.
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise TrainingError(
                f"{Path(path).name} holds no tokenized rows: give a file that --tokens wrote, or make it again."
            ) from error


def tokenize_rows(
    texts: Iterable[dict],
    questions: Iterable[dict],
    tokenizer: PreTrainedTokenizerBase,
    *,
    end_token: int,
    max_context: int = 8192,
    made_up: int = 0,
    report: Callable[[str], object] | None = None,
) -> TrainingData:
    """Tokenize rows and ``made_up`` facts; questions are grouped by context.

    The first answer of a row that is not blank is the one that is taught, closed by ``end_token``. A row may say how
    often it is to be drawn (``weight``, 1 unless told); a context is drawn as often as its rows together. Left out, and
    counted in sentences for ``report``, are texts and contexts without tokens, contexts of more than ``max_context``
    tokens, and questions without an answer.
    """

    def plain(batch: list[str]) -> list[list[int]]:
        if not batch:
            return []
        return tokenizer(batch, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]

    smallest = np.uint16 if len(tokenizer) <= 2**16 else np.int32
    skipped: Counter[str] = Counter()
    text_ids = [ids for batch in _batched((row["text"] for row in texts), 256) for ids in plain(batch)]
    skipped["empty texts"] = sum(not ids for ids in text_ids)
    text_ids = [ids for ids in text_ids if ids]
    by_context: dict[str, list[tuple[str, str]]] = {}
    weight_of: dict[str, float] = {}
    weighted = False
    for row in questions:
        answer = next(filter(str.strip, row["answers"]), None)
        if answer is None:
            skipped["questions without an answer"] += 1
            continue
        by_context.setdefault(row["context"], []).append((row["question"], answer))
        weight_of[row["context"]] = weight_of.get(row["context"], 0.0) + row.get("weight", 1.0)
        weighted = weighted or "weight" in row
    contexts, prompts, answers, question_of, weights = [], [], [], [0], []
    for context, asked in by_context.items():
        ids = plain([context])[0]
        if not 0 < len(ids) <= max_context:
            why = f"of more than {max_context:,} tokens" if ids else "without tokens"
            skipped[f"questions about contexts {why}"] += len(asked)
            continue
        contexts.append(ids)
        weights.append(weight_of[context])
        prompts += [question_prompt(tokenizer, question) for question, _ in asked]
        answers += [[*ids, end_token] for ids in plain([answer.strip() for _, answer in asked])]
        question_of.append(len(prompts))
    for why, count in skipped.items():
        if count and report:
            report(f"Left out: {why} ({count:,}).")
    told = list(facts(made_up, seed=0))
    statements = plain([statement for statement, _, _ in told])
    asked_of = [question_prompt(tokenizer, question) for _, question, _ in told]
    facts_told = [[*ids, end_token] for ids in plain([answer for _, _, answer in told])]
    every = (text_ids, contexts, prompts, answers, statements, asked_of, facts_told)
    ragged: dict[str, Any] = {name: Ragged.of(items, smallest) for name, items in zip(_RAGGED, every, strict=True)}
    return TrainingData(
        **ragged,
        question_of=np.asarray(question_of),
        vocabulary=Vocabulary.of(tokenizer, end_token),
        context_weights=np.asarray(weights if weighted else ()),
    )


def _batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
