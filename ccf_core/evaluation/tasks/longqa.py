"""Ask questions about long documents, up to the decoder's window and beyond; scored as in ``qa``."""

from __future__ import annotations

from ccf_core.evaluation import scoring
from ccf_core.evaluation.readers import READERS as ALL_READERS
from ccf_core.evaluation.readers.base import settings
from ccf_core.evaluation.rows import Row, source_of
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import qa
from ccf_core.memory.segments import Segmented
from ccf_core.readers.base import Question
from ccf_core.readers.text import fitting

ABOUT = (
    "Questions about documents of up to the window and beyond, scored as in qa. `cut`: share of documents of which "
    "full context reads only the first tokens, those that fit."
)
DATA = "longqa.jsonl.xz"
FIELDS = qa.FIELDS
READERS = qa.READERS
METRIC, LABEL, SHORT_LABEL, COUNTED = qa.METRIC, qa.LABEL, qa.SHORT_LABEL, qa.COUNTED
DRAWN = MAIN = qa.MAIN


def evaluate(subject: Subject, rows: list[Row], options: Options) -> tuple[int, list[dict]]:
    """Measure (questions asked, result rows) like those of ``qa``, each with the number of ``documents``.

    Full context reads a document's first tokens if not all of them fit; ``cut`` is the share of documents of
    which that is so, in the rows of ``full`` and ``base_full``.
    """
    asked, documents = scoring.sample(subject, rows, options)
    chosen = settings(READERS, options, subject)
    questions = [scoring.question(subject, row, documents[row["context"]]) for row in asked]
    results = scoring.tables(asked, scoring.ask(subject, asked, questions, chosen, options), options.seed)
    for result in results:
        by_document: dict[Segmented, list[Question]] = {}
        for q, row in zip(questions, asked, strict=True):
            if result["source"] in ("all", "macro", source_of(row)):
                by_document.setdefault(q.document, []).append(q)
        result["documents"] = len(by_document)
        if ALL_READERS[result["reader"]].whole_text:
            cut = sum(
                len(document.input_ids[: fitting(qs)]) < len(document.input_ids) for document, qs in by_document.items()
            )
            result["cut"] = round(cut / len(by_document), 5)
    return len(asked), results
