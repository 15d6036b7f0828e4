"""Generation with a waiting queue against one text at a time, every token read off the whole text again.

Models are small, random and in float64, so that what is compared does not hang on rounding.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import transformers as hf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench.core.resources import free_memory
from medbench.core.types import GenerateRequest, ModelSpec, Output, Prompt
from medbench.engines.hf import memory
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.hf.generation import kv_cache, scheduling
from medbench.engines.hf.generation.scheduling import HEADROOM, ActiveSequence, Capacity, Schedule

FAMILIES = ("llama", "gpt2", "biogpt", "gemma2", "gemma3", "t5")
QUEUED = FAMILIES[:-1]
LIMIT = 20  # most new tokens
WINDOW = 12  # of the models whose layers slide: shorter than most prompts
PROMPTS = [
    "A",
    "fever?",
    "cough in a child",
    "Question: fever?\nAnswer:",
    "yes no maybe aspirin heparin",
    "Question: What are the symptoms of fever and cough in a child?\nAnswer:",
    "Abstract: The trial enrolled 120 patients.\nQuestion: Did mortality fall?\nAnswer:",
    "Rest, fluids and paracetamol; see a doctor if it is no better. " * 2,
    "zinc 5 mg Ωμέγα 🙂",
]
PLENTY = Capacity(slots=64, cache_tokens=100_000, prefill_tokens=1024, block_slots=16)


@dataclass(frozen=True)
class Case:
    """A model and what it says to every prompt, one at a time, `LIMIT` tokens long and not ended by any token."""

    engine: TransformersEngine
    said: dict[str, list[int]]
    end: int  # a token that it says, taken for an end token

    def expected(self, request: GenerateRequest) -> tuple[str, int, str]:
        """Text, tokens and finish: as short as an end token, a stop string or the limit makes it."""
        words = self.engine.loaded.tokenizer  # type: ignore[union-attr]
        said = self.said[request.prompt.question]
        for count in range(1, request.max_new_tokens + 1):
            if said[count - 1] in (self.end, words.eos_token_id):
                return words.decode(said[: count - 1], skip_special_tokens=True).strip(), count, "stop"
            text = words.decode(said[:count], skip_special_tokens=True)
            blank = len(text) - len(text.lstrip())  # white space stops nothing before the first word
            found = [at for stop in request.stop if (at := text.find(stop, 0 if stop.strip() else blank)) >= 0]
            if found:
                return text[: min(found)].strip(), count, "stop"
        return text.strip(), request.max_new_tokens, "length"


def gemma3(folder: Path) -> Path:
    """Two sliding layers and one that sees all, with a rotary base each."""
    torch.manual_seed(0)
    words = tiny.tokenizer(chat=False)
    config = hf.Gemma3TextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=tiny.WINDOW,
        sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        initializer_range=0.3,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def loaded_engine(folder: Path) -> TransformersEngine:
    spec = ModelSpec(name="tiny", location=str(folder), revision="0", device="cpu", dtype="float64", chat="never")
    engine = TransformersEngine(spec)
    engine.load()
    assert engine.loaded is not None
    # With the input's own embeddings for output a small model repeats its last token, whatever came before.
    torch.manual_seed(1)
    head = engine.loaded.model.get_output_embeddings()
    head.weight = torch.nn.Parameter(torch.randn_like(head.weight))
    return engine


@torch.inference_mode()
def alone(engine: TransformersEngine, prompt: str, count: int) -> list[int]:
    """`count` tokens, each the likeliest after the whole text so far: no cache, no batch, no padding."""
    assert engine.loaded is not None
    model, tokens = engine.loaded.model, engine.loaded.tokenizer.encode(prompt)
    said: list[int] = []
    for _ in range(count):
        if engine.loaded.encoder_decoder:
            logits = model(input_ids=torch.tensor([tokens]), decoder_input_ids=torch.tensor([[0, *said]])).logits
        else:
            logits = model(torch.tensor([[*tokens, *said]]), use_cache=False).logits
        said.append(int(logits[0, -1].float().argmax()))
    return said


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @functools.cache
    def make(family: str) -> Case:
        folder = tmp_path_factory.mktemp(family)
        engine = loaded_engine(gemma3(folder) if family == "gemma3" else tiny.save(folder, family))
        said = {prompt: alone(engine, prompt, LIMIT) for prompt in PROMPTS}
        # The commonest token that no text begins with.
        firsts = {tokens[0] for tokens in said.values()}
        end = next(t for t, _ in Counter(itertools.chain(*said.values())).most_common() if t not in firsts)
        engine.loaded.model.generation_config.eos_token_id = [1, end]  # type: ignore[union-attr]
        return Case(engine, said, end)

    return make


def requests_of(asked: Sequence[tuple[str, int, tuple[str, ...]]]) -> list[GenerateRequest]:
    return [GenerateRequest(str(i), Prompt(text), limit, stop) for i, (text, limit, stop) in enumerate(asked)]


def answers(
    case: Case, requests: list[GenerateRequest], capacity: Capacity, headroom: int = HEADROOM
) -> dict[str, Output]:
    """What the engine makes of `requests` with this capacity, each of them answered once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduling, "HEADROOM", headroom)
        patch.setattr(case.engine, "_capacity", lambda: capacity)
        outputs = list(case.engine.generate(requests))
    assert sorted(o.item_id for o in outputs) == sorted(r.item_id for r in requests)
    return {output.item_id: output for output in outputs}


def check(case: Case, requests: list[GenerateRequest], outputs: dict[str, Output]) -> None:
    for request in requests:
        output = outputs[request.item_id]
        assert (output.text, output.completion_tokens, output.finish) == case.expected(request)
        assert 0 < (output.first_token_s or 0) <= output.seconds


capacities = st.builds(
    Capacity,
    slots=st.integers(1, 6),
    cache_tokens=st.integers(1, 500),
    prefill_tokens=st.integers(1, 90),
    block_slots=st.integers(1, 4),
)


@st.composite
def asked(draw: st.DrawFn, case: Case) -> list[GenerateRequest]:
    """Prompts, some of them twice, each with a limit and with stop strings, most of them out of some text."""
    words = case.engine.loaded.tokenizer  # type: ignore[union-attr]
    texts = [words.decode(said, skip_special_tokens=True) for said in case.said.values()]
    pieces = st.builds(
        lambda text, start, length: text[start : start + length] or "never",
        st.sampled_from(texts),
        st.integers(0, 40),
        st.integers(1, 6),
    )
    stops = st.lists(pieces, max_size=2).map(tuple)
    one = st.tuples(st.sampled_from(PROMPTS), st.integers(1, LIMIT), stops)
    return requests_of(draw(st.lists(one, min_size=1, max_size=9)))


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data(), capacity=capacities, headroom=st.integers(1, LIMIT))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_is_the_one_made_alone(
    cases: Any, family: str, data: st.DataObject, capacity: Capacity, headroom: int
) -> None:
    case = cases(family)
    requests = data.draw(asked(case))
    check(case, requests, answers(case, requests, capacity, headroom))


def test_a_store_that_grows_keeps_what_it_holds(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases("llama")
    case.engine._uses_kv_cache()
    copies: list[Any] = []
    moved = kv_cache.KVCache._resized
    monkeypatch.setattr(kv_cache.KVCache, "_resized", lambda *given: copies.append(given) or moved(*given))
    requests = requests_of([(prompt, LIMIT, ()) for prompt in PROMPTS])
    check(case, requests, answers(case, requests, PLENTY, headroom=3))
    assert copies


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_says_different_things_and_ends_in_every_way(cases: Any, family: str) -> None:
    """Else the tests above and below would prove little."""
    case = cases(family)
    assert case.engine._uses_kv_cache() == (family in QUEUED)
    every = [case.expected(r) for r in requests_of([(prompt, LIMIT, ()) for prompt in PROMPTS])]
    assert len({text for text, _, _ in every}) > len(PROMPTS) // 2
    assert {finish for _, _, finish in every} == {"stop", "length"}


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
@torch.inference_mode()
def test_a_sliding_window_shorter_than_the_text_matters_here(cases: Any, family: str) -> None:
    case = cases(family)
    wide = loaded_engine(Path(case.engine.spec.location))
    for module in wide.loaded.model.modules():  # type: ignore[union-attr]
        if hasattr(module, "config"):
            module.config.sliding_window = 1000
    assert {prompt: alone(wide, prompt, LIMIT) for prompt in PROMPTS[4:]} != {p: case.said[p] for p in PROMPTS[4:]}


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@given(data=st.data(), capacity=capacities, fitting=st.integers(1, 3))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_out_of_memory_loses_nothing(
    cases: Any, family: str, data: st.DataObject, capacity: Capacity, fitting: int
) -> None:
    case = cases(family)
    requests = data.draw(asked(case))
    whole = kv_cache.last_logits

    def small_memory(loaded: Any, keep: Any, tokens: Any, *rest: Any) -> Any:
        if tokens.shape[0] > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(loaded, keep, tokens, *rest)

    case.engine._uses_kv_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv_cache, "last_logits", small_memory)
        outputs = answers(case, requests, capacity)
    check(case, requests, outputs)


def test_memory_that_runs_out_once_in_the_middle_halves_the_rows(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases("llama")
    requests = requests_of([(prompt, LIMIT, ()) for prompt in PROMPTS[:8]])
    case.engine._uses_kv_cache()
    sizes: list[int] = []
    whole = kv_cache.last_logits

    def once(loaded: Any, keep: Any, tokens: Any, *rest: Any) -> Any:
        sizes.append(tokens.shape[0])
        if len(sizes) == 6:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9000000 bytes")
        return whole(loaded, keep, tokens, *rest)

    monkeypatch.setattr(kv_cache, "last_logits", once)
    check(case, requests, answers(case, requests, PLENTY))
    assert max(sizes[6:]) == sizes[5] // 2


def test_what_does_not_fit_alone_is_an_error_and_the_rest_goes_on(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases("llama")
    requests = requests_of([(prompt, 4, ()) for prompt in PROMPTS])
    case.engine._uses_kv_cache()
    whole = kv_cache.last_logits
    most = 40  # positions

    def short_memory(loaded: Any, keep: Any, tokens: Any, mask: Any, positions: Any, cache: Any) -> Any:
        if int(positions.max()) >= most:
            raise MemoryError
        return whole(loaded, keep, tokens, mask, positions, cache)

    monkeypatch.setattr(kv_cache, "last_logits", short_memory)
    outputs = answers(case, requests, PLENTY)
    failed = {i for i, output in outputs.items() if output.error}
    assert failed == {r.item_id for r in requests if outputs[r.item_id].prompt_tokens > most - 3}
    assert failed and len(failed) < len(requests)
    for item in failed:
        assert outputs[item].error == (
            f"out of memory, even alone in its batch ({outputs[item].prompt_tokens} prompt tokens)"
        )
        assert outputs[item].text is None
    left = [request for request in requests if request.item_id not in failed]
    check(case, left, outputs)


def test_no_row_is_computed_after_its_end_and_nothing_is_copied(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of n tokens the first comes with the prompt; each of the others is one row of one pass."""
    case = cases("llama")
    case.engine._uses_kv_cache()
    steps: list[int] = []
    copies: list[Any] = []
    whole, moved = kv_cache.decode_step, kv_cache.KVCache._resized
    monkeypatch.setattr(kv_cache, "decode_step", lambda *given: steps.append(len(given[3])) or whole(*given))
    monkeypatch.setattr(kv_cache.KVCache, "_resized", lambda *given: copies.append(given) or moved(*given))
    requests = requests_of([(prompt, limit, ()) for prompt in PROMPTS for limit in (LIMIT, 7)])
    outputs = answers(case, requests, Capacity(slots=8, cache_tokens=100_000, prefill_tokens=1024, block_slots=4))
    assert sum(steps) == sum(output.completion_tokens - 1 for output in outputs.values())
    assert steps[:4] == [8, 8, 8, 8] or min(steps[:4]) > 4
    assert not copies


def test_an_interrupt_leaves_what_was_made_and_the_engine_in_order(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases("llama")
    requests = requests_of([(prompt, limit, ()) for limit, prompt in enumerate(PROMPTS, start=1)])
    case.engine._uses_kv_cache()
    calls = itertools.count()
    whole = kv_cache.last_logits

    def interrupted(*given: Any) -> Any:
        if next(calls) == 6:
            raise KeyboardInterrupt
        return whole(*given)

    made: list[Output] = []
    with monkeypatch.context() as patch:
        patch.setattr(kv_cache, "last_logits", interrupted)
        outputs = case.engine.generate(requests)
        with pytest.raises(KeyboardInterrupt):
            made += iter(lambda: next(outputs), None)
    assert made
    check(case, [r for r in requests if r.item_id in {o.item_id for o in made}], {o.item_id: o for o in made})
    check(case, requests, answers(case, requests, PLENTY))


def test_a_row_that_gives_no_number_spoils_no_other(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys and values are no numbers either, and stay in a slot that another row gets."""
    case = cases("llama")
    requests = requests_of([(prompt, 9, ()) for prompt in PROMPTS])
    case.engine._uses_kv_cache()
    bad = case.engine.loaded.tokenizer.encode("zinc")[0]
    whole = kv_cache.last_logits
    weights = case.engine.loaded.model.get_input_embeddings().weight
    kept = weights[bad].clone()
    with torch.no_grad():
        weights[bad] = float("nan")
    try:
        outputs = answers(case, requests, Capacity(slots=2, cache_tokens=1000, prefill_tokens=1000, block_slots=2))
    finally:
        with torch.no_grad():
            weights[bad] = kept
    assert kv_cache.last_logits is whole
    spoilt = [r for r in requests if bad in case.engine.loaded.tokenizer.encode(r.prompt.question)]
    assert spoilt
    for request in requests:
        if request in spoilt or bad in case.said[request.prompt.question][:9]:
            assert "NaN" in (outputs[request.item_id].error or "")
        else:
            check(case, [request], outputs)


def other(folder: Path, config: Any) -> TransformersEngine:
    torch.manual_seed(0)
    words = tiny.tokenizer(chat=False)
    config.vocab_size, config.bos_token_id, config.eos_token_id, config.pad_token_id = len(words), 1, 1, 0
    config.initializer_range = 0.3
    hf.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return loaded_engine(folder)


@pytest.mark.parametrize(
    ("config", "queued"),
    [
        (lambda: hf.BloomConfig(hidden_size=32, n_layer=2, n_head=4), False),  # distance is a slope in its mask
        (lambda: hf.MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4), False),  # keeps a state
        (
            lambda: hf.MistralConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=8,
                sliding_window=WINDOW,
            ),
            True,  # one mask, and it slides
        ),
    ],
    ids=["bloom", "mamba", "mistral"],
)
def test_models_of_other_kinds(tmp_path: Path, config: Any, queued: bool) -> None:
    engine = other(tmp_path, config())
    assert engine._uses_kv_cache() == queued
    requests = requests_of([(prompt, 8, ()) for prompt in PROMPTS])
    case = Case(engine, {prompt: alone(engine, prompt, 8) for prompt in PROMPTS}, end=1)
    outputs = {o.item_id: o for o in engine.generate(requests)}
    check(case, requests, outputs)
    assert len({o.text for o in outputs.values()}) > 1


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 300)), min_size=1, max_size=30),
    st.builds(
        Capacity,
        slots=st.integers(1, 9),
        cache_tokens=st.integers(1, 2000),
        prefill_tokens=st.integers(1, 90),
        block_slots=st.integers(1, 4),
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_a_schedule_keeps_every_row_and_its_slot(
    lengths: list[tuple[int, int]], capacity: Capacity, chance: Any
) -> None:
    """Played with rows that end by chance; `held` is what the slots hold, as the store would."""
    schedule = Schedule(
        (ActiveSequence(i, [i] * prompt, prompt, limit) for i, (prompt, limit) in enumerate(lengths)), capacity
    )
    held: dict[int, int] = {}
    ended: list[int] = []
    while schedule.unfinished:
        if schedule.should_admit():
            schedule.admit()
            while schedule.entering:
                group = schedule.next_prefill()
                assert len(group) * max(len(row.tokens) for row in group) <= capacity.prefill_tokens or len(group) == 1
                for slot, row in zip(schedule.activate(group), group, strict=True):
                    held[slot] = row.index
        else:
            schedule.preempt()
        rows = schedule.active
        assert [held[slot] for slot in range(len(rows))] == [row.index for row in rows]
        assert len(rows) <= capacity.slots
        assert len(rows) * schedule.positions_needed() <= capacity.cache_tokens or len(rows) == 1
        assert all(len(row.tokens) < schedule.positions_needed() or len(row.tokens) == row.max_length for row in rows)
        for row in rows:
            row.tokens.append(0)
        leaving = [i for i, row in enumerate(rows) if len(row.tokens) >= row.max_length or chance.random() < 0.1]
        ended += [rows[slot].index for slot in leaving]
        for source, target in schedule.remove(leaving):
            held[target] = held[source]
    assert sorted(ended) == list(range(len(lengths)))


def test_blocks_stay_sorted_by_length() -> None:
    """Slots 0 to 3 hold 9, 8, 7, 6 tokens in blocks of two: 9 leaves, 7 takes its place, 6 that of 7."""
    schedule = Schedule([], Capacity(slots=4, cache_tokens=100, prefill_tokens=10, block_slots=2))
    schedule.active = [ActiveSequence(length, [0] * length, 1, 20) for length in (9, 8, 7, 6)]
    assert schedule.remove([0]) == [(2, 0), (3, 2)]
    assert [row.index for row in schedule.active] == [7, 8, 6]


def test_long_answers_do_not_claim_their_memory_at_once() -> None:
    """Of rows that may grow to 10,000 tokens as many are taken up as have HEADROOM; who does not fit later waits."""
    capacity = Capacity(slots=8, cache_tokens=4 * (10 + HEADROOM), prefill_tokens=100, block_slots=8)
    schedule = Schedule((ActiveSequence(i, [0] * 10, 10, 10_000) for i in range(8)), capacity)
    schedule.admit()
    assert len(schedule.entering) == 4
    schedule.activate(schedule.entering[:])
    for row in schedule.active:
        row.tokens += [0] * HEADROOM
    schedule.preempt()  # two rows of 266 tokens and their headroom: 2 x 522 of 1,064
    assert len(schedule.active) == 2
    assert len(schedule.waiting) == 6


def test_what_a_token_costs(cases: Any) -> None:
    """2 layers x 2 key heads of width 8, keys and values, 8 bytes each: 512 bytes; 400 words x (8 + 4) when read."""
    loaded = cases("llama").engine.loaded
    assert memory.token_bytes(loaded).cached == 2 * 2 * 8 * 2 * 8
    assert memory.token_bytes(loaded).logits == len(loaded.tokenizer) * 12
    assert memory.token_bytes(cases("gpt2").engine.loaded).cached == 2 * 4 * 8 * 2 * 8
    assert memory.cache_tokens(loaded) == pytest.approx(free_memory("cpu") * memory.SHARE / 512, rel=0.2)
