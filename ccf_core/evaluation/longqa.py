"""Questions about long documents, up to the decoder's window and beyond; asked and scored as in ``qa``."""

from __future__ import annotations

from ccf_core.evaluation import asking, qa, readers
from ccf_core.evaluation.asking import Question
from ccf_core.evaluation.data import Row, source_of
from ccf_core.evaluation.subject import Options, Subject

ABOUT = (
    "Questions about documents of up to the window and beyond, scored as in qa. `cut`: share of documents of which "
    "full context reads only the first tokens, those that fit."
)
DATA = "longqa.jsonl.xz"
FIELDS = qa.FIELDS
READERS = qa.READERS


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """(questions asked, result rows) like those of ``qa``, each with the number of ``documents``.

    Full context reads a document's first tokens if not all of them fit; ``cut`` is the share of documents of
    which that is so, in the rows of ``full`` and ``base_full``.
    """
    asked, documents = asking.sample(subject, rows, options)
    settings = readers.settings(READERS, options, subject.ccf.config.compressor)
    questions = [asking.question(subject, row, documents[row["context"]]) for row in asked]
    told = asking.tables(asked, asking.ask(subject, asked, questions, settings, options), options.seed)
    for row in told:
        mine = [q for q, own in zip(questions, asked, strict=True) if row["source"] in ("all", source_of(own))]
        row["documents"] = len({q.document.sha256 for q in mine})
        if row["reader"] in ("full", "base_full"):
            row["cut"] = round(_cut(subject, row["reader"], mine), 5)
    return len(asked), told


def _cut(subject: Subject, reader: str, questions: list[Question]) -> float:
    documents: dict[str, list[Question]] = {}
    for q in questions:
        documents.setdefault(q.document.sha256, []).append(q)
    decoder = subject.decoder(reader)
    return sum(len(qs[0].document.input_ids) > asking.room(decoder, qs) for qs in documents.values()) / len(documents)
