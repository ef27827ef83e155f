"""Full context by a decoder that was trained on full text alone, measured beside the adapter's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from ccf_core.base.load import load_base
from ccf_core.evaluation.readers.base import settings
from ccf_core.evaluation.rows import EvaluationError, Row
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import evidence, peers, perplexity, qa

OPTIONS = Options(ratios=(8,), limit=4, k=(2,))


@pytest.fixture(scope="module")
def measured(tiny_folder: Callable, make_adapter: Callable, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A tiny adapter, and another one as its yardstick."""
    base = load_base(tiny_folder(), device="cpu", dtype="float32")
    folders = []
    for seed in (1, 2):
        adapter = make_adapter(base.model, base=base.fingerprint, tokenizer=base.tokenizer_fingerprint, seed=seed)
        folders.append(tmp_path_factory.mktemp("adapter"))
        adapter.save(folders[-1])
    return Subject.load(folders[0], tiny_folder(), "cpu", "float32", folders[1])


def test_its_readers_read_by_its_decoder_and_others_are_divided_by_them(
    measured: Subject, text_rows: list[Row]
) -> None:
    assert measured.yardstick
    assert measured.described()["yardstick"] == measured.yardstick.adapter_fingerprint
    assert measured.decoder("yardstick_full") is measured.yardstick.decoder
    options = dataclasses.replace(OPTIONS, readers=("memory", "full", "none", "yardstick_full", "yardstick_none"))
    _, rows = perplexity.evaluate(measured, text_rows, options)
    nats = {row["reader"]: row["metrics"]["nats"] for row in rows}
    assert nats["yardstick_full"] != nats["full"]
    none, full = (min(nats[kind], nats[f"yardstick_{kind}"]) for kind in ("none", "full"))
    kept = next(row["metrics"]["gain_kept"] for row in rows if row["reader"] == "memory")
    assert kept == pytest.approx((none - nats["memory"]) / (none - full), rel=0.02)


def test_without_one_for_the_base_it_is_not_offered(subject: Subject, text_rows: list[Row]) -> None:
    assert subject.yardstick is None
    for task in (qa, perplexity, evidence):
        named = [reader for reader, _ in settings(task.READERS, OPTIONS, subject)]
        assert "base_full" in named and "yardstick_full" not in named
        assert "yardstick_full" in task.READERS
    assert "yardstick_full" in peers.READERS
    with pytest.raises(EvaluationError, match="name one with --yardstick"):
        perplexity.evaluate(subject, text_rows, dataclasses.replace(OPTIONS, readers=("yardstick_full",)))


def test_one_of_another_base_is_left_out(tiny_folder: Callable, make_adapter: Callable, tmp_path: Path) -> None:
    base = load_base(tiny_folder(), device="cpu", dtype="float32")
    for name, of in (("adapter", base.fingerprint), ("other", "0" * 64)):
        make_adapter(base.model, base=of).save(tmp_path / name)
    subject = Subject.load(tmp_path / "adapter", tiny_folder(), "cpu", "float32", tmp_path / "other")
    assert subject.yardstick is None
    assert "yardstick" not in subject.described()
