"""What each command of the command line does, and prints."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from typing import Any

from app.answers.compare import DEFAULT
from app.cli.progress import Meter
from app.documents.names import file_name, full_name
from app.errors import NotAnswerable
from app.parsers import Limits
from app.types import AnswerView
from app.workbench import Workbench


@dataclass(frozen=True)
class Result:
    """``data`` for ``--json``, ``text`` for people, ``notes`` for stderr."""

    data: dict[str, Any]
    text: str
    notes: tuple[str, ...] = ()


def compress(workbench: Workbench, args: argparse.Namespace, meter: Meter) -> Result:
    done = workbench.intake.ingest_file(args.file, meter.step)
    notes = done.notes
    if args.out:
        written = workbench.exports.memory(done.document.sha256, workbench.model.ratios[0], args.out)
        notes += (f"The memory was written to {written}.",)
    data = {
        "document_sha256": done.document.sha256,
        "title": done.document.title,
        "filename": done.document.filename,
        "tokens": done.tokens,
        "segments": done.segments,
        "slots": {str(ratio): slots for ratio, slots in done.slots.items()},
        "seconds": done.seconds,
        "tokens_per_s": done.tokens_per_s,
        "stored_bytes": done.stored_bytes,
        "from_cache": done.from_cache,
    }
    slots = ", ".join(f"{count:,} at {ratio}x" for ratio, count in done.slots.items())
    how = "was stored already" if done.from_cache else f"compressed at {done.tokens_per_s:,.0f} tokens/s"
    named = full_name(done.document.title, done.document.filename)
    text = (
        f"{named}\n{done.tokens:,} tokens in {done.segments:,} segments, {how}, "
        f"{done.seconds:.1f} s in all\nslots: {slots}\nstored: {done.stored_bytes:,} bytes "
        f"(the text itself: {done.document.text_bytes:,})"
    )
    return Result(data, text, notes)


def read(workbench: Workbench, args: argparse.Namespace, meter: Meter) -> Result:
    Limits().check_size(args.file.stat().st_size)
    document = workbench.intake.read(args.file.read_bytes(), args.file.name, progress=meter.step)
    data = asdict(document) | {"filename": file_name(args.file.name)}
    parts = [f"--- left out, not compressed: {part.what}\n{part.text}" for part in document.left_out]
    return Result(data, "\n".join([document.text, *parts]), document.notes)


def reconstruct(workbench: Workbench, args: argparse.Namespace, meter: Meter) -> Result:
    _require_ratio(workbench, args.ratio, meter)
    done = workbench.intake.ingest_file(args.file, meter.step)
    found = []
    for one in workbench.fidelity.reconstruct_all(done.document.sha256, args.ratio, args.segments):
        found.append(one)
        meter.count("reconstructing", len(found), len(args.segments or range(done.segments)))
    rouge_l = sum(one.rouge_l * one.tokens for one in found) / sum(one.tokens for one in found)
    segments = [
        {"index": one.segment, "text": one.original, "reconstruction": one.text, "rouge_l": one.rouge_l}
        for one in found
    ]
    parts = [
        f"segment {one.segment}, {one.slots} slots for {one.tokens} tokens, ROUGE-L {one.rouge_l:.3f}\n"
        f"--- text\n{one.original.strip()}\n--- reconstruction\n{one.text.strip()}\n"
        for one in found
    ]
    text = "\n".join([*parts, f"ROUGE-L {rouge_l:.3f} at {args.ratio}x over {len(found)} segments"])
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return Result({"ratio": args.ratio, "rouge_l": rouge_l, "segments": segments}, text, (*done.notes, *notes))


def ask(workbench: Workbench, args: argparse.Namespace, meter: Meter) -> Result:
    _require_ratio(workbench, args.ratio, meter)
    done = workbench.intake.ingest_file(args.file, meter.step)
    meter.clear()
    pieces = workbench.asking.ask(
        args.question,
        [done.document.sha256],
        args.ratio,
        args.reader,
        max_new_tokens=args.max_new_tokens,
        in_full=args.in_full,
        progress=meter.step,
    )
    for answer in pieces:
        if isinstance(answer, str) and not args.json:
            print(answer, end="", flush=True)
    assert isinstance(answer, AnswerView)
    fields = ("title", "filename", "segment", "score", "start", "end", "page", "text")
    data = {
        "answer": answer.text,
        "reader": answer.reader,
        "ratio": answer.ratio,
        "evidence": [
            {field: getattr(item, field) for field in fields} | ({"ratio": item.ratio} if item.ratio else {})
            for item in answer.evidence
        ],
        "timings": asdict(answer.timings),
        "kv_bytes": answer.kv_bytes,
        "full_kv_bytes": answer.full_kv_bytes,
    }
    evidence = [
        f"  {item.score:.0%} segment {item.segment}"
        + (f", page {item.page}" if item.page else "")
        + (f", read {'as text' if item.ratio == 1 else f'at {item.ratio}x'}" if item.ratio else "")
        for item in answer.evidence[:3]
    ]
    named = full_name(done.document.title, done.document.filename)
    waited = answer.timings.load_s + answer.timings.first_token_s
    # The answer itself is on the screen by now.
    text = "\n".join(
        [
            "\n",
            *([f"what the answer looked at, in {named}:"] if evidence else []),
            *evidence,
            f"{answer.kv_bytes:,} bytes of cache held, {answer.full_kv_bytes:,} in full; "
            f"first token after {waited:.2f} s, then {answer.timings.tokens_per_s:.1f} tokens/s",
        ]
    )
    return Result(data, text, (*done.notes, *answer.notes))


def compare(workbench: Workbench, args: argparse.Namespace, meter: Meter) -> Result:
    done = workbench.intake.ingest_file(args.file, meter.step)
    steps = workbench.comparing.compare(
        args.question, [done.document.sha256], args.settings or DEFAULT, progress=meter.step
    )
    answers, lines = [], list[str]()
    for step in steps:
        if step.piece:
            continue
        one: dict[str, Any] = {"setting": step.setting, "answer": None, "error": step.error or None}
        if answer := step.answer:
            one |= {
                "answer": answer.text,
                "timings": asdict(answer.timings),
                "kv_bytes": answer.kv_bytes,
                "full_kv_bytes": answer.full_kv_bytes,
            }
        answers.append(one)
        lines.append(f"{step.setting}: {step.answer.text if step.answer else step.error}")
        meter.say(f"{step.setting}: {'answered' if step.answer else 'not answered'}")
    return Result({"question": args.question, "answers": answers}, "\n".join(lines), done.notes)


def ingest(workbench: Workbench, args: argparse.Namespace, meter: Meter) -> Result:
    started = time.perf_counter()

    def show(what: str, done: int, total: int) -> None:
        if total:
            meter.count(what, done, total)
        else:
            meter.loading(0.0, what)

    taken = workbench.folders.ingest(args.dir, args.processes, show)
    data = {
        "documents": len(taken.documents),
        "tokens": taken.tokens,
        "cached": taken.cached,
        "failed": [{"file": file, "reason": reason} for file, reason in taken.failed.items()],
        "seconds": time.perf_counter() - started,
    }
    lines = [
        f"{data['documents']} documents, {data['tokens']:,} tokens, {data['cached']} of them stored already, "
        f"{data['seconds']:.1f} s",
        *(f"not taken: {file}: {reason}" for file, reason in taken.failed.items()),
    ]
    count = args.processes.count
    by = "1 process" if count == 1 else f"{count} processes"
    note = f"{taken.encoded_segments} of {taken.segments} segments were encoded, by {by}."
    return Result(data, "\n".join(lines), (note,))


def _require_ratio(workbench: Workbench, ratio: int, meter: Meter) -> None:
    """Complain before a long file is compressed in vain."""
    workbench.model.load(meter.loading)
    if ratio not in workbench.model.ratios:
        raise NotAnswerable(f"The ratio must be one of {', '.join(map(str, workbench.model.ratios))}, not {ratio}.")
