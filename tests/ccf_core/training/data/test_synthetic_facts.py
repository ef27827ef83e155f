"""Made-up facts: what is stated in a text and asked for afterwards."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ccf_core.answering.prompt import ABSTENTION, question_prompt
from ccf_core.config import CCFConfig
from ccf_core.training.data.dataset import TrainingData, tokenize_rows
from ccf_core.training.data.examples import Kind, Mix
from ccf_core.training.data.sampling import Sampler
from ccf_core.training.data.synthetic_facts import facts, state

CONFIG = CCFConfig(segment_length=32)
MIX = Mix(window=256, fact_share=1, full_share=0, raw_share=0, unanswerable=0, question_share=0)


@pytest.fixture(scope="module")
def data(tokenizer) -> TrainingData:
    texts = [{"text": "A sentence of this text. And yet another one! " * n} for n in (1, 8, 40)]
    return tokenize_rows(texts, [], tokenizer, end_token=tokenizer.eos_token_id, made_up=30)


def test_a_statement_holds_its_answer_and_its_question_does_not():
    told = list(facts(200, seed=1))
    assert told == list(facts(200, seed=1)) != list(facts(200, seed=2))
    assert all(answer in statement and answer not in question for statement, question, answer in told)
    assert all(statement.startswith(" ") and statement.endswith(".") for statement, _, _ in told)
    assert not any("access code" in statement for statement, _, _ in told)


@pytest.mark.parametrize("budget", [100, 12, 6])
def test_statements_stand_after_sentences_and_the_text_is_cut_for_them(budget):
    ends = np.zeros(100, bool)
    ends[9] = True
    ids = np.array([1, 2, 9, 3, 4, 5, 9, 6])
    statements = [np.array([50, 51, 52]), np.array([60, 61])]
    for seed in range(20):
        made = state(statements, ids, ends, budget, np.random.default_rng(seed)).tolist()
        assert len(made) == min(budget, len(ids) + 5)
        assert [t for t in made if t < 50] == ids[: budget - 5].tolist()
        for first, *_ in statements:
            before = [t for t in made[: made.index(first)] if t < 50]
            assert not before or before[-1] == 9


def test_every_fact_that_is_asked_for_stands_in_the_text(tokenizer, data):
    answers = 0
    for seed in range(30):
        example = Sampler(data, CONFIG, MIX)._text(np.random.default_rng(seed), 8, False)
        read = tokenizer.decode(np.concatenate(example.segments).tolist())
        for asked in (d for d in example.decoded if d.kind == Kind.ANSWER):
            assert asked.segments == tuple(range(len(example.segments)))
            assert tokenizer.decode(asked.targets[asked.targets >= 0][:-1].tolist()) in read
            answers += 1
        assert len(np.concatenate(example.segments)) <= MIX.window
    assert answers >= 30


def test_some_facts_that_are_asked_for_stand_nowhere(tokenizer, data):
    sampler = Sampler(data, CONFIG, dataclasses.replace(MIX, unanswerable=1))
    example = sampler._text(np.random.default_rng(0), 8, False)
    told = [tokenizer.decode(d.targets[d.targets >= 0][:-1].tolist()) for d in example.decoded if d.kind == Kind.ANSWER]
    assert told and set(told) == {ABSTENTION}


def test_facts_are_tokenized_as_questions_are_and_kept(tokenizer, data, tmp_path):
    for i, (_, question, answer) in enumerate(facts(30, seed=0)):
        assert data.fact_prompts[i].tolist() == question_prompt(tokenizer, question)
        assert tokenizer.decode(data.fact_answers[i][:-1].tolist()) == answer
    data.save(tmp_path / "data.npz")
    assert np.array_equal(TrainingData.load(tmp_path / "data.npz").statements.ids, data.statements.ids)


def test_tokens_written_before_there_were_facts_have_none(data, tmp_path):
    data.save(tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz") as file:
        np.savez(tmp_path / "old.npz", **{k: file[k] for k in file.files if not k.startswith(("state", "fact"))})
    old = TrainingData.load(tmp_path / "old.npz")
    assert len(old.statements) == 0
    example = Sampler(old, CONFIG, MIX).draw(np.random.default_rng(0))
    assert example.decoded
