"""Find a needle in a haystack: one sentence that matters, at a depth of a document that does not."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ccf_core import metrics
from ccf_core.answering.prompt import question_prompt
from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers import READERS as ALL_READERS
from ccf_core.evaluation.readers.base import Setting, settings
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import qa
from ccf_core.readers.base import Question
from ccf_core.readers.text import fitting

ABOUT = (
    "One sentence, “The access code of {name} is {5 digits}.”, at a depth of a document that is about other things; "
    "a hit is an answer with the digits. Depth 0 is the start of the document; lengths are in tokens."
)
DATA = "text.jsonl.xz"
FIELDS = ("text",)
READERS = qa.READERS
METRIC, LABEL, SHORT_LABEL, COUNTED = "hit", "needles found", "found", "needles"
DRAWN = MAIN = {"length": "all", "depth": "all"}
#: Share of the document that comes before the needle.
DEPTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHORTEST = 100
LENGTHS = (1000, 2000, 4000, 8000)

#: Tokens of documents whose memories are held at once: some GB in int8 with the default base.
TOGETHER = 1_000_000

#: (length, depth) -> pairs; "all" in place of either is every one.
Cells = dict[tuple[int | str, float | str], list[metrics.Pair]]

# Names of people who are not in the texts.
_GIVEN = ("Alma", "Boris", "Clara", "Dario", "Edith", "Farid", "Greta", "Hugo", "Ines", "Keiko", "Lars", "Mira", "Nils")
_FAMILY = ("Ashby", "Brandt", "Cordova", "Eriksen", "Falk", "Gruber", "Hollis", "Jensen", "Kovacs", "Lindqvist", "Moro")
_ENDS = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+|\n\s*")


@dataclass(frozen=True)
class Needle:
    """A document with its needle."""

    text: str
    name: str
    code: str
    depth: float

    @property
    def question(self) -> str:
        return f"What is the access code of {self.name}?"

    def found_in(self, answer: str) -> bool:
        return self.code in answer


def sentences(text: str) -> list[str]:
    """Cut a text after the ends of its sentences and paragraphs; joined, the parts are the text."""
    cuts = [0, *(match.end() for match in _ENDS.finditer(text)), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(cuts) if a < b]


class Haystacks:
    """Documents of a length in tokens, made of whole sentences of texts in a random order of the texts."""

    def __init__(self, subject: Subject, texts: Sequence[str]) -> None:
        self.ccf = subject.ccf
        self.texts = texts
        self._pieces: dict[int, list[tuple[str, int]]] = {}

    def needles(self, length: int, number: int, seed: int) -> list[Needle]:
        """Make one haystack with one needle at every depth; the document has ``length`` tokens or a few less."""
        rng = random.Random(f"{seed}:{length}:{number}")
        name = f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}"
        code = str(rng.randint(10_000, 99_999))
        needle = f"The access code of {name} is {code}. "
        pieces = self._fill(length - self._count(f" {needle}\n"), rng)
        # The code or the name in the hay would count as the needle found.
        if any(code in piece or name in piece for piece, _ in pieces):
            return self.needles(length, number + 1_000_000, seed)
        total = sum(tokens for _, tokens in pieces)
        needles = []
        for depth in DEPTHS:
            before, at = 0, 0
            while at < len(pieces) and before + pieces[at][1] / 2 < depth * total:
                before += pieces[at][1]
                at += 1
            head, tail = ("".join(piece for piece, _ in part) for part in (pieces[:at], pieces[at:]))
            gap = " " if head and not head[-1].isspace() else ""
            needles.append(Needle(f"{head}{gap}{needle}{tail}", name, code, depth))
        return needles

    def _fill(self, left: int, rng: random.Random) -> list[tuple[str, int]]:
        kept: list[tuple[str, int]] = []
        misfits = 0
        for piece, tokens in self._shuffled(rng):
            if tokens <= left:
                kept.append((piece, tokens))
                left -= tokens
            else:
                misfits += 1
            # What is left is less than most sentences.
            if left < 8 or misfits > 50:
                return kept
        if left > SHORTEST // 2:
            raise EvaluationError(
                f"The texts are {left} tokens too short for a haystack: give more, or less --lengths."
            )
        return kept

    def _shuffled(self, rng: random.Random) -> Iterator[tuple[str, int]]:
        for index in rng.sample(range(len(self.texts)), len(self.texts)):
            if index not in self._pieces:
                found = sentences(self.texts[index].rstrip() + "\n\n")
                self._pieces[index] = [(piece, self._count(piece)) for piece in found]
            yield from self._pieces[index]

    def _count(self, text: str) -> int:
        return len(self.ccf.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (documents, result rows): ``hit``, the share of answers that hold the code, for each reader, ratio,
    length and depth; ``all`` in place of a depth or length is the mean over them.

    ``full`` is left out of lengths that do not fit the window; ``truncated`` reads at most a window.
    """
    lengths = options.lengths or LENGTHS
    if min(lengths) < SHORTEST:
        raise EvaluationError(f"A haystack of {min(lengths)} tokens is too short: give {SHORTEST} or more.")
    haystacks = Haystacks(subject, [row["text"] for row in rows if row["text"].strip()])
    chosen = settings(READERS, options, subject)
    count = min(options.needles, options.limit or options.needles)
    hits: dict[Setting, Cells] = {setting: {} for setting in chosen}
    for length in lengths:
        options.report(f"documents of {length} tokens")
        together = max(1, TOGETHER // (length * len(DEPTHS)))
        for first in range(0, count, together):
            numbers = range(first, min(first + together, count))
            needles = [n for number in numbers for n in haystacks.needles(length, number, options.seed)]
            for setting, found in _found(subject, length, needles, chosen, options).items():
                for needle, hit in zip(needles, found, strict=True):
                    hits[setting].setdefault((length, needle.depth), []).append((float(hit), 1.0))
    return len(lengths) * count * len(DEPTHS), [
        {"reader": reader, "ratio": ratio, "length": length, "depth": depth, "n": len(pairs)}
        | metrics.summarise({"hit": pairs}, options.seed)
        for (reader, ratio), cells in hits.items()
        if cells
        for (length, depth), pairs in _with_means(cells).items()
    ]


def _found(
    subject: Subject, length: int, needles: Sequence[Needle], settings: Sequence[Setting], options: Options
) -> dict[Setting, list[bool]]:
    documents = {needle.text: subject.ccf.segment(needle.text) for needle in needles}
    window = subject.ccf.decoder.window
    prompts = [question_prompt(subject.ccf.tokenizer, needle.question) for needle in needles]
    questions = [Question(p, documents[n.text], window=window) for p, n in zip(prompts, needles, strict=True)]
    limit = fitting(questions)
    if limit is not None and length > limit:
        # Cut to the window it would be another reader.
        settings = [setting for setting in settings if not ALL_READERS[setting[0]].whole_text]
    return {
        setting: [n.found_in(subject.text(ids)) for n, ids in zip(needles, written, strict=True)]
        for setting, written, _ in scoring.answers(subject, settings, questions, options)
    }


def _with_means(cells: Cells) -> Cells:
    result: Cells = {}
    for length in dict.fromkeys(length for length, _ in cells):
        mine = {cell: pairs for cell, pairs in cells.items() if cell[0] == length}
        result |= mine
        result[length, "all"] = [pair for pairs in mine.values() for pair in pairs]
    return result | {("all", "all"): [pair for pairs in cells.values() for pair in pairs]}
