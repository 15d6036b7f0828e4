"""Several answers to one prompt: every engine draws them from the request's own seed, whatever else is in the batch."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_vllm
import fakes
import numpy as np
import pytest
import servers
import tiny
from medbench.core.errors import UsageError
from medbench.core.types import Engine, GenerateRequest, ModelSpec, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.hf.generation import decoding
from medbench.engines.hf.generation.decoding import Decoder
from medbench.engines.hf.generation.picking import draw as draw_rows
from medbench.engines.hf.generation.scheduling import Capacity
from medbench.engines.one_by_one import OneByOne
from medbench.engines.sampling import Sampling, draw
from medbench.engines.server.openai import OpenAIEngine
from medbench.engines.text_requests import Rejected, TextRequest
from medbench.engines.vllm import VllmEngine

SHARES = np.array([0.5, 0.3, 0.15, 0.05])
PROMPTS = ["fever?", "Question: cough in a child\nAnswer:", "yes no maybe aspirin heparin warfarin placebo"]


def spec(folder: Path, **changes: Any) -> ModelSpec:
    fields: dict[str, Any] = {"device": "cpu", "dtype": "float64", "chat": "never"}
    return ModelSpec("tiny", str(folder), "0", **fields | changes)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {family: tiny.save(folder / family, family) for family in ("llama", "t5", "mamba")}


def asks(samples: int = 3, prompts: list[str] = PROMPTS, **changes: Any) -> list[GenerateRequest]:
    fields: dict[str, Any] = {"temperature": 1.0} | changes
    return [
        GenerateRequest(f"i{number}", Prompt(text), 12, sample=sample, seed=100 * number + sample, **fields)
        for number, text in enumerate(prompts)
        for sample in range(samples)
    ]


def texts(engine: Engine, requests: list[GenerateRequest]) -> dict[tuple[str, int], str | None]:
    found = list(engine.generate(requests))
    assert not [output.error for output in found if output.error]
    keys = [(output.item_id, output.sample) for output in found]
    assert sorted(keys) == sorted((request.item_id, request.sample) for request in requests)
    return {(output.item_id, output.sample): output.text for output in found}


class TestDistribution:
    """Both functions against the probabilities written out above, by 4,000 draws: standard error at most 0.008."""

    def shares(self, sampling: Sampling, logits: Any = None) -> list[float]:
        logits = np.log(SHARES) if logits is None else logits
        count = 4000
        found = Counter(draw(logits, sampling, written) for written in range(count))
        import torch

        rows = draw_rows(torch.tensor(logits).repeat(count, 1), [(sampling, written) for written in range(count)])
        assert Counter(rows) == found, "one at a time and in rows must be the same"
        return [found[token] / count for token in range(len(logits))]

    def test_temperature_1_gives_the_models_own_probabilities(self) -> None:
        assert self.shares(Sampling(1.0, 1.0, 7)) == pytest.approx(SHARES, abs=0.03)

    def test_temperature_is_an_exponent(self) -> None:
        expected = SHARES**2 / (SHARES**2).sum()  # temperature 0.5: squares
        assert self.shares(Sampling(0.5, 1.0, 7)) == pytest.approx(expected, abs=0.03)

    @pytest.mark.parametrize(("top_p", "kept"), [(0.81, 3), (0.79, 2), (0.5, 1), (0.01, 1), (0.999, 4)])
    def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p(self, top_p: float, kept: int) -> None:
        expected = np.where(np.arange(4) < kept, SHARES, 0) / SHARES[:kept].sum()
        assert self.shares(Sampling(1.0, top_p, 7)) == pytest.approx(expected, abs=0.03)

    def test_an_impossible_token_is_never_drawn_and_a_temperature_near_0_takes_the_likeliest(self) -> None:
        impossible = self.shares(Sampling(2.0, 1.0, 3), np.array([0.0, -math.inf, 0.0]))
        assert impossible == pytest.approx([0.5, 0.0, 0.5], abs=0.03)
        assert self.shares(Sampling(1e-9, 1.0, 3)) == [1.0, 0.0, 0.0, 0.0]

    def test_a_nucleus_wider_than_the_first_sort(self) -> None:
        """3,000 equal tokens: half of them are 1,500, more than are sorted at first. Ties at the border all stay."""
        import torch

        logits = torch.zeros(1, 3000)
        found = {draw_rows(logits, [(Sampling(1.0, 0.5, seed), 0)])[0] for seed in range(300)}
        assert len(found) > 250

    def test_numbers_differ_by_seed_and_position(self) -> None:
        numbers = [Sampling(1.0, 1.0, seed).uniform(at) for seed in range(50) for at in range(50)]
        assert len(set(numbers)) == len(numbers)
        assert np.mean(numbers) == pytest.approx(0.5, abs=0.03)
        assert min(numbers) >= 0 and max(numbers) < 1


@pytest.mark.parametrize("family", ["llama", "t5", "mamba"])
def test_an_answer_depends_on_its_own_seed_and_not_on_the_batch(models: dict[str, Path], family: str) -> None:
    """llama has our queue, t5 and mamba transformers' own `generate`: with and without an encoder."""
    engine = TransformersEngine(spec(models[family]))
    requests = asks()
    together = texts(engine, requests)
    assert len(set(together.values())) > 6, "most samples differ"
    assert texts(engine, requests) == together
    assert texts(engine, requests[::-1]) == together
    for request in requests[::4]:
        key = request.item_id, request.sample
        assert texts(engine, [request]) == {key: together[key]}
    other = texts(engine, [replace(request, seed=(request.seed or 0) + 1) for request in requests])
    assert other != together


def test_without_a_temperature_all_samples_are_the_greedy_text(models: dict[str, Path]) -> None:
    engine = TransformersEngine(spec(models["llama"]))
    found = texts(engine, asks(temperature=0.0))
    assert all(found[f"i{number}", sample] == found[f"i{number}", 0] for number in range(3) for sample in range(3))
    drawn = texts(engine, asks(temperature=1e-9))
    assert drawn == found


def test_a_prompt_of_several_samples_is_computed_once(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine(spec(models["llama"]))
    expected = texts(engine, asks(samples=4))
    computed: list[int] = []
    prefill = Decoder._prefill

    def counted(self: Decoder) -> None:
        whole = self.passes.prefill
        monkeypatch.setattr(
            self.passes, "prefill", lambda *given: (computed.append(len(given[2])), whole(*given))[1], raising=True
        )
        prefill(self)
        monkeypatch.setattr(self.passes, "prefill", whole)

    monkeypatch.setattr(decoding.Decoder, "_prefill", counted)
    assert texts(engine, asks(samples=4)) == expected
    assert sum(computed) == 3


@pytest.mark.parametrize(
    "capacity",
    [
        Capacity(slots=2, cache_tokens=100_000, prefill_tokens=1024, block_slots=16),
        Capacity(slots=64, cache_tokens=150, prefill_tokens=1024, block_slots=16),  # sequences wait for each other
        Capacity(slots=64, cache_tokens=100_000, prefill_tokens=8, block_slots=2),  # a prompt alone, in chunks
    ],
)
def test_no_schedule_changes_an_answer(
    models: dict[str, Path], capacity: Capacity, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TransformersEngine(spec(models["llama"]))
    expected = texts(engine, asks(samples=4))
    monkeypatch.setattr(engine, "_capacity", lambda: capacity)
    assert texts(engine, asks(samples=4)) == expected


def test_beam_search_draws_nothing(models: dict[str, Path]) -> None:
    engine = TransformersEngine(spec(models["t5"], generation={"num_beams": 4}))
    engine.check_sampling(1, 0.0)
    with pytest.raises(UsageError, match=r"--temperature 0\.7: tiny answers by beam search \(4 beams\)"):
        engine.check_sampling(5, 0.7)


class TestRefused:
    def test_an_engine_that_does_not_say_so_draws_nothing(self) -> None:
        engine = fakes.FakeEngine()
        engine.check_sampling(1, 0.0)
        for samples, temperature in ((2, 0.7), (1, 0.7), (2, 0.0)):
            with pytest.raises(UsageError, match="the engine fake draws no samples") as raised:
                engine.check_sampling(samples, temperature)
            assert "Leave out --samples" in raised.value.hint

    def test_several_answers_need_a_temperature(self, models: dict[str, Path]) -> None:
        with pytest.raises(UsageError, match="--samples 5: at temperature 0 all answers") as raised:
            TransformersEngine(spec(models["llama"])).check_sampling(5, 0.0)
        assert raised.value.hint == "Add a temperature: --temperature 0.7"


def test_one_request_at_a_time_takes_a_temperature_if_the_engine_draws(models: dict[str, Path]) -> None:
    def said(engine: Engine) -> str:
        one = OneByOne(engine)
        one.add(1, TextRequest(PROMPTS[0], 12, temperature=1.0, seed=4))
        ((_, ended),) = one.advance()
        return ended.text

    engine = TransformersEngine(spec(models["t5"]))
    assert said(engine) == said(engine)
    assert (
        said(engine) == texts(engine, [GenerateRequest("1", Prompt(PROMPTS[0]), 12, temperature=1.0, seed=4)])["1", 0]
    )
    with pytest.raises(Rejected, match="temperature must be 0"):
        said(fakes.FakeEngine())


class TestServer:
    def test_temperature_top_p_and_seed_are_sent(self) -> None:
        with servers.Server(then=servers.says("B")) as server:
            engine = OpenAIEngine(ModelSpec("m", "m", "", "openai", base_url=server.url))
            found = texts(engine, asks(samples=2, prompts=["fever?"], top_p=0.9))
            assert found == {("i0", 0): "B", ("i0", 1): "B"}
            sent = sorted(
                (asked.body["seed"], asked.body["temperature"], asked.body["top_p"]) for asked in server.asked
            )
            assert sent == [(0, 1.0, 0.9), (1, 1.0, 0.9)]
            texts(engine, [GenerateRequest("i", Prompt("fever?"), 12)])
            assert server.asked[-1].body["temperature"] == 0
            assert not {"seed", "top_p"} & server.asked[-1].body.keys()

    @pytest.mark.parametrize("field", ["seed", "top_p", "temperature"])
    def test_what_the_server_rejects_is_left_out_and_recorded(self, field: str) -> None:
        with servers.Server(then=servers.refuses(field, servers.says("B"))) as server:
            engine = OpenAIEngine(ModelSpec("m", "m", "", "openai", base_url=server.url))
            texts(engine, asks(samples=2, prompts=["fever?"], top_p=0.9))
            assert field not in server.asked[-1].body
            assert engine.describe()["rejected_fields"] == [field]

    def test_a_failed_sample_keeps_its_number(self) -> None:
        with servers.Server(then=servers.error(400, "no")) as server:
            engine = OpenAIEngine(ModelSpec("m", "m", "", "openai", base_url=server.url))
            failed = list(engine.generate(asks(samples=3, prompts=["fever?"])))
        assert sorted(output.sample for output in failed if output.error) == [0, 1, 2]

    def test_a_model_without_a_temperature_of_ours_may_vary(self) -> None:
        reasoning = ModelSpec(
            "m", "m", "", "openai", base_url="http://localhost:1/v1", generation={"temperature": None}
        )
        OpenAIEngine(reasoning).check_sampling(5, 0.0)
        with pytest.raises(UsageError, match="at temperature 0"):
            OpenAIEngine(replace(reasoning, generation={})).check_sampling(5, 0.0)


def test_vllm_gets_temperature_and_seed_per_request(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    fake_vllm.install(monkeypatch)
    engine = VllmEngine(ModelSpec("tiny", str(models["llama"]), "", dtype="float32", chat="never"))
    found = list(engine.generate(asks(samples=2, prompts=["fever?"], top_p=0.9)))
    assert sorted(output.sample for output in found) == [0, 1]
    drawn = [(params.temperature, params.top_p, params.seed) for _, params, _ in engine._model.asked]
    assert sorted(drawn) == [(1.0, 0.9, 0), (1.0, 0.9, 1)]
    list(engine.generate([GenerateRequest("i", Prompt("fever?"), 12)]))
    _, params, _ = engine._model.asked[-1]
    assert (params.temperature, params.top_p, params.seed) == (0.0, 1.0, None)


@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="needs llama-cpp-python")
def test_llama_cpp_draws_by_seed_whatever_the_batch(models: dict[str, Path], tmp_path: Path) -> None:
    from medbench.engines.llamacpp.engine import GgufEngine
    from medbench.zoo.resolve import resolve
    from test_resolve import write_gguf

    file = write_gguf(models["llama"], tmp_path / "tiny.gguf", pre="gpt-2", quantized=False)
    engine = GgufEngine(resolve(f"gguf:{file}", chat="never"))
    requests = asks(samples=4)
    together = texts(engine, requests)
    assert len(set(together.values())) > 6
    for request in requests[::5]:
        key = request.item_id, request.sample
        assert texts(engine, [request])[key] == together[key]
    exact = texts(TransformersEngine(spec(models["llama"], dtype="float32")), requests)
    same = [key for key, text in together.items() if exact[key] == text]
    assert len(same) >= 9, "the same draws from the same logits; special tokens inside a text are spelled differently"
