"""Choosing compared with one-at-a-time evaluation: shared prefixes, packed rows, cached keys, sliding windows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench.core.types import ChoiceRequest, ModelSpec, Prompt
from medbench.engines.hf.batching import OutOfMemory
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.hf.loading import Loaded, load
from medbench.engines.hf.scoring import packed_rows, prefix_tree
from medbench.engines.hf.scoring.log_likelihood import log_likelihoods
from medbench.engines.hf.scoring.packed_attention import ScoreRule, block
from medbench.engines.hf.scoring.sequences import sequences_for

# Families that run packed rows, and three that cannot: an encoder, ALiBi's biases, and a state space without attention.
PACKED = ("llama", "gpt2", "biogpt", "gemma2", "gemma3")
WHOLE = ("t5", "bloom", "mamba")

Item = tuple[list[int], list[list[int]]]  # a prompt's tokens, and its answers'


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("choosing")
    return {family: tiny.save(root / family, family) for family in (*PACKED, *WHOLE)}


@pytest.fixture(scope="session")
def models(folders: dict[str, Path]) -> dict[str, Loaded]:
    return {
        family: load(ModelSpec("tiny", str(folder), "0", dtype="float32", device="cpu"))
        for family, folder in folders.items()
    }


@torch.inference_mode()
def alone(loaded: Loaded, prompt: list[int], answer: list[int]) -> float:
    """log P(answer | prompt): one sequence in one forward pass, every logit computed."""
    if loaded.encoder_decoder:
        fed = torch.tensor([[loaded.model.config.decoder_start_token_id, *answer[:-1]]])
        logits = loaded.model(input_ids=torch.tensor([prompt]), decoder_input_ids=fed).logits[0]
        return float(sum(logits[at].log_softmax(-1)[token] for at, token in enumerate(answer)))
    logits = loaded.model(torch.tensor([prompt + answer])).logits[0]
    return float(sum(logits[len(prompt) - 1 + at].log_softmax(-1)[token] for at, token in enumerate(answer)))


def chosen(loaded: Loaded, items: list[Item], budget: int) -> dict[int, Any]:
    rows = [
        row for i, (prompt, ends) in enumerate(items) for row in sequences_for(i, prompt, ends, loaded.encoder_decoder)
    ]
    found = list(log_likelihoods(loaded, rows, budget, packed_rows.supports_packed_rows(loaded)))
    assert len({item for item, _, _ in found}) == len(found), "an item was answered twice"
    return {item: values for item, values, _ in found}


def tokens(least: int, most: int, alphabet: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(5, 4 + alphabet), min_size=least, max_size=most)


@st.composite
def item_sets(draw: st.DrawFn) -> list[Item]:
    """Prompts that begin alike in every way: twice the same, one the beginning of another, nested, or not at all."""
    stems: list[list[int]] = [[]]
    for _ in range(draw(st.integers(0, 3))):
        stems.append(draw(st.sampled_from(stems)) + draw(tokens(1, 30, 200)))
    items = []
    for _ in range(draw(st.integers(1, 6))):
        prompt = draw(st.sampled_from(stems)) + draw(tokens(0, 12, 3)) or [5]
        # Of three tokens, so that answers begin alike, are the same, or one the beginning of another.
        items.append((prompt, draw(st.lists(tokens(0, 4, 3), min_size=1, max_size=4))))
    return items


@pytest.mark.parametrize("family", [*PACKED, *WHOLE])
@given(items=item_sets(), budget=st.sampled_from([0, 8, 30, 90, 1000]))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_what_it_is_alone(
    models: dict[str, Loaded], family: str, items: list[Item], budget: int
) -> None:
    loaded = models[family]
    found = chosen(loaded, items, budget)
    assert found.keys() == set(range(len(items)))
    for item, (prompt, answers) in enumerate(items):
        expected = {i: alone(loaded, prompt, answer) if answer else 0.0 for i, answer in enumerate(answers)}
        assert found[item] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("length", [13, 14, 15, 16, 17])
def test_a_window_ends_where_it_does_alone(models: dict[str, Loaded], length: int) -> None:
    """Two answers of four tokens, three of them fed, under one prompt: the last is within a window of 16, or not."""
    items: list[Item] = [(drawn(length, length - 1), [[7, 8, 9, 7], [8, 9, 7, 8]])]
    expected = {i: alone(models["gemma3"], items[0][0], answer) for i, answer in enumerate(items[0][1])}
    assert chosen(models["gemma3"], items, 1000)[0] == pytest.approx(expected, abs=1e-4)


def test_which_models_take_packed_rows(models: dict[str, Loaded]) -> None:
    assert {family for family, loaded in models.items() if packed_rows.supports_packed_rows(loaded)} == set(PACKED)


def test_a_model_that_takes_no_packed_rows_is_left_as_it_was(models: dict[str, Loaded]) -> None:
    usual = {family: loaded.model.config._attn_implementation for family, loaded in models.items()}
    for loaded in models.values():
        packed_rows.supports_packed_rows(loaded)
    assert {family: loaded.model.config._attn_implementation for family, loaded in models.items()} == usual


def drawn(seed: int, count: int) -> list[int]:
    return random.Random(seed).choices(range(5, 300), k=count)


@pytest.fixture
def passes(models: dict[str, Loaded]) -> Iterator[list[int]]:
    """The tokens that went through each forward pass of the tiny llama."""
    seen: list[int] = []
    embedding = models["llama"].model.get_input_embeddings()
    hook = embedding.register_forward_hook(lambda module, given, result: seen.append(given[0].numel()))
    yield seen
    hook.remove()


def test_what_items_share_is_computed_once(models: dict[str, Loaded], passes: list[int]) -> None:
    """Ten questions of 9 tokens after the same 40: 40 + 10 x 9, not 10 x 49. Answers of one token need no more."""
    shots = drawn(0, 40)
    items: list[Item] = [(shots + drawn(seed, 9), [[7], [8], [9]]) for seed in range(1, 11)]
    packed_rows.supports_packed_rows(models["llama"])
    passes.clear()
    chosen(models["llama"], items, 30)
    assert sum(passes[-5:]) == 40 + 10 * 9
    assert passes[-5:] == [40, 27, 27, 27, 9], "the shared tokens alone, then three questions at a time"


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_the_last_layers_mlp_computes_only_where_logits_are_read(models: dict[str, Loaded], family: str) -> None:
    """Two prompts of 40 and 30 tokens with one letter to read: 70 rows in every MLP, 2 in the last."""
    loaded = models[family]
    inner = [m for m in loaded.model.modules() if type(m).__name__.endswith("MLP")]
    seen: list[int] = []
    hooks = [next(m.children()).register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[1])) for m in inner]
    items: list[Item] = [([*range(5, 45)], [[7], [8]]), ([*range(60, 90)], [[7], [8]])]
    try:
        rows = [row for i, (prompt, ends) in enumerate(items) for row in sequences_for(i, prompt, ends, False)]
        found = {item: values for item, values, _ in log_likelihoods(loaded, rows, 4096, packed=True)}
    finally:
        for hook in hooks:
            hook.remove()
    assert seen == [70] * (len(inner) - 1) + [2]
    for item, (prompt, ends) in enumerate(items):
        assert [found[item][i] for i in range(2)] == pytest.approx([alone(loaded, prompt, e) for e in ends], abs=1e-4)


def test_answers_of_several_tokens_hang_on_one_prompt(models: dict[str, Loaded], passes: list[int]) -> None:
    """A prompt of 40 tokens under answers of 4, 3 and 1, of which the last token is never fed: 40 + 3 + 2 + 0."""
    packed_rows.supports_packed_rows(models["llama"])
    passes.clear()
    chosen(models["llama"], [(drawn(0, 40), [[11, 5, 6, 7], [12, 5, 6], [13]])], 100)
    assert passes[-1] == 45


def test_a_beginning_too_short_to_pay_is_not_shared() -> None:
    rows = [((5, *drawn(seed, 100)), []) for seed in range(3)]
    assert [node.size for node in prefix_tree.build(rows)] == [101, 101, 101]
    long = [((*drawn(9, 50), *drawn(seed, 100)), []) for seed in range(3)]
    (node,) = prefix_tree.build(long)
    assert (node.size, [child.size for child in node.children]) == (50 + 300, [100, 100, 100])


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=12))
def test_the_tree_holds_every_row_and_every_read_once(rows: list[list[int]]) -> None:
    reads = {i: prefix_tree.TokenRead(at=i % len(row), token=0, item=i, answer=0) for i, row in enumerate(rows)}
    found: set[prefix_tree.TokenRead] = set()
    ends: set[tuple[int, ...]] = set()
    ahead = [((), node) for node in prefix_tree.build((row, [reads[i]]) for i, row in enumerate(rows))]
    while ahead:
        before, node = ahead.pop()
        path = (*before, *node.tokens.tolist())
        assert (len(before), len(path)) == (node.start, node.end)
        for read in node.reads:
            assert node.start <= read.at < node.end
            assert path[: read.at + 1] == tuple(rows[read.item][: read.at + 1])
            assert read not in found
            found.add(read)
        if not node.children:
            ends.add(path)
        ahead += [(path, child) for child in node.children]
    assert found == set(reads.values())
    for row in map(tuple, rows):  # a row that another begins with needs no end of its own
        assert any(end[: len(row)] == row for end in ends)


def test_a_thousand_nested_rows_do_not_exhaust_the_stack() -> None:
    rows = [(tuple(range(5, 6 + 3 * i)), []) for i in range(2000)]
    nodes = prefix_tree.build(rows)
    assert max(inner.end for node in nodes for inner in node.walk()) == 1 + 3 * 1999


@pytest.mark.parametrize("queries_per_key", [1, 3])
@pytest.mark.parametrize("at", [0, 20])
def test_plain_arithmetic_and_kernel_are_one(queries_per_key: int, at: int) -> None:
    """What runs where no kernel does is what the kernel of this processor computes, log-sum-exp too."""
    torch.manual_seed(0)
    key, value = torch.randn(2, 1, 2, 20, 8)
    query = torch.randn(1, 2 * queries_per_key, 20, 8)
    kernel = block(query, key, value, at, 0, ScoreRule(0.3))
    spelt = block(query, key, value, at, 0, ScoreRule(0.3, softcap=1e6))  # a cap that high caps nothing
    for one, other in zip(kernel, spelt, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def small_memory(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A forward pass that runs out of memory from `most` tokens on; the sizes it was asked for."""
    sizes: list[int] = []
    whole = packed_rows.last_logits

    def bounded(loaded: Loaded, keep: Any, input_ids: Any, *rest: Any) -> Any:
        sizes.append(input_ids.numel())
        if input_ids.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(loaded, keep, input_ids, *rest)

    monkeypatch.setattr(packed_rows, "last_logits", bounded)
    return sizes


def test_out_of_memory_makes_smaller_passes(models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the batch, nor four prompts with what they share, nor one with its answers, need fit: a row must."""
    shots = drawn(0, 40)
    items: list[Item] = [(shots + drawn(seed, 9), [[7, 8, 9], [8, 9, 7], [9, 7]]) for seed in range(1, 5)]
    expected = chosen(models["llama"], items, 1000)
    sizes = small_memory(monkeypatch, 51)
    found = chosen(models["llama"], items, 1000)
    assert 40 + 4 * (9 + 2 + 2 + 1) in sizes, "all of it at once, first"
    assert sizes.count(51) == 8, "every row of 49 + 2 tokens alone, in the end"
    for item, values in expected.items():
        assert found[item] == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize("budget", [30, 1000])
def test_an_item_that_does_not_fit_alone_fails_alone(
    models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """At the smaller budget its prompt runs before its answers, and is what does not fit."""
    items: list[Item] = [(drawn(1, 20), [[7, 8], [8]]), (drawn(2, 60), [[7, 8], [8, 7]]), (drawn(3, 20), [[7]])]
    small_memory(monkeypatch, 40)
    found = chosen(models["llama"], items, budget)
    assert {item for item, values in found.items() if isinstance(values, OutOfMemory)} == {1}
    for item in (0, 2):
        prompt, answers = items[item]
        expected = {i: alone(models["llama"], prompt, answer) for i, answer in enumerate(answers)}
        assert found[item] == pytest.approx(expected, abs=1e-4)


def test_no_number_in_a_shared_beginning_fails_only_what_begins_so(folders: dict[str, Path]) -> None:
    """A weight that is no number, reached by one token: only the prompts with that token have no answer."""
    engine = TransformersEngine(ModelSpec("tiny", str(folders["llama"]), "0", device="cpu"))
    engine.load()
    assert engine.loaded is not None
    words = engine.loaded.tokenizer
    (bad,) = words.encode("Z", add_special_tokens=False)
    engine.loaded.model.get_input_embeddings().weight.data[bad] = float("nan")
    stem = "Abstract: The trial enrolled patients. " * 3
    prompts = [f"{stem}Z " * 2 + "fever?", f"{stem}Z " * 2 + "cough?", stem + "fever?", stem + "cough?"]
    outputs = {
        o.item_id: o
        for o in engine.choose([ChoiceRequest(str(i), Prompt(p), ("yes", "no")) for i, p in enumerate(prompts)])
    }
    assert {i for i, o in outputs.items() if o.error and "NaN" in o.error} == {"0", "1"}
    assert all(outputs[i].logprobs for i in ("2", "3"))


def test_requests_are_answered_in_portions(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from medbench.engines.hf import engine as transformers_engine

    engine = TransformersEngine(ModelSpec("tiny", str(folders["gpt2"]), "0", device="cpu"))
    requests = [ChoiceRequest(str(i), Prompt("fever " * i + "cough?"), ("yes", "no")) for i in range(5)]
    whole = {o.item_id: o.logprobs for o in engine.choose(requests)}
    monkeypatch.setattr(transformers_engine, "CHOICE_REQUESTS", 2)
    parts = {o.item_id: o.logprobs for o in engine.choose(requests)}
    assert parts.keys() == whole.keys() == {"0", "1", "2", "3", "4"}
    for item, values in whole.items():
        assert parts[item] == pytest.approx(values, abs=1e-4)
