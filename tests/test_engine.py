"""The transformers engine compared with one-at-a-time evaluation in plain transformers calls."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medbench.core.errors import MedbenchError, UsageError
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Prompt
from medbench.engines.hf import batching, quantization
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.prompting import Wrapping, pin_dates, wrapping

QUESTIONS = [
    "Question: fever?\nAnswer:",
    "Abstract: The trial enrolled 120 patients.\nQuestion: Did mortality fall?\nAnswer:",
    "Question: What are the symptoms of cough in a child who has had paracetamol?\nAnswer:",
    "A\nAnswer:",
]
ANSWERS = ("yes", "no", "maybe not at all", "A")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: tiny.save(root / family, family) for family in tiny.FAMILIES}


def engine_for(folder: Path, **changes: Any) -> TransformersEngine:
    return TransformersEngine(ModelSpec(name="tiny", location=str(folder), revision="0", device="cpu", **changes))


def choice_requests(questions: list[str] = QUESTIONS) -> list[ChoiceRequest]:
    return [ChoiceRequest(str(i), Prompt(question), ANSWERS) for i, question in enumerate(questions)]


def one_at_a_time(engine: TransformersEngine, question: str, answer: str) -> float:
    """log P(answer | question), one sequence in one forward pass, every logit computed."""
    engine.load()
    assert engine.loaded is not None
    model, words = engine.loaded.model, engine.loaded.tokenizer
    if engine.loaded.encoder_decoder:
        labels = torch.tensor([words.encode(" " + answer, add_special_tokens=False)])
        logits = model(input_ids=torch.tensor([words.encode(question)]), labels=labels).logits[0]
        return float(sum(logits[i].log_softmax(-1)[token] for i, token in enumerate(labels[0])))
    prompt = words.encode(question)
    whole = words.encode(question + " " + answer)
    logits = model(torch.tensor([whole])).logits[0]
    return float(sum(logits[at - 1].log_softmax(-1)[whole[at]] for at in range(len(prompt), len(whole))))


def greedy_alone(engine: TransformersEngine, question: str, steps: int) -> str:
    """Greedy decoding without a cache or a batch: every step reads the whole text again."""
    engine.load()
    assert engine.loaded is not None
    model, words = engine.loaded.model, engine.loaded.tokenizer
    prompt = torch.tensor([words.encode(question)])
    new: list[int] = []
    for _ in range(steps):
        if engine.loaded.encoder_decoder:
            token = int(model(input_ids=prompt, decoder_input_ids=torch.tensor([[0, *new]])).logits[0, -1].argmax())
        else:
            token = int(model(torch.cat([prompt, torch.tensor([new], dtype=torch.long)], dim=1)).logits[0, -1].argmax())
        if token == words.eos_token_id:
            break
        new.append(token)
    return words.decode(new, skip_special_tokens=True).strip()


@pytest.mark.parametrize("family", tiny.FAMILIES)
@torch.inference_mode()
def test_choosing_in_batches_equals_one_at_a_time(folders: dict[str, Path], family: str) -> None:
    engine = engine_for(folders[family])
    outputs = {o.item_id: o for o in engine.choose(choice_requests())}
    for i, question in enumerate(QUESTIONS):
        expected = [one_at_a_time(engine, question, answer) for answer in ANSWERS]
        assert outputs[str(i)].logprobs == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@torch.inference_mode()
def test_generating_in_batches_equals_one_at_a_time(folders: dict[str, Path], family: str) -> None:
    engine = engine_for(folders[family])
    requests = [GenerateRequest(str(i), Prompt(q), 12) for i, q in enumerate(QUESTIONS)]
    engine = engine_for(folders[family], chat="never")
    texts = {o.item_id: o.text for o in engine.generate(requests)}
    assert texts == {str(i): greedy_alone(engine, q, 12) for i, q in enumerate(QUESTIONS)}
    assert len(set(texts.values())) > 1, "random models that all say the same would prove nothing"


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=120), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_answered_whatever_shares_its_batch(folders: dict[str, Path], questions: list[str]) -> None:
    engine = engine_for(folders["llama"])
    together = {o.item_id: o for o in engine.choose(choice_requests(questions))}
    for request in choice_requests(questions):
        (alone,) = engine.choose([request])
        assert alone.logprobs == pytest.approx(together[request.item_id].logprobs, abs=1e-4)
        assert alone.prompt == together[request.item_id].prompt


def test_beam_search_is_transformers_own(folders: dict[str, Path]) -> None:
    beams = {"num_beams": 3, "no_repeat_ngram_size": 2}
    engine = engine_for(folders["t5"], generation=beams)
    requests = [GenerateRequest(str(i), Prompt(q), 8) for i, q in enumerate(QUESTIONS)]
    texts = {o.item_id: o.text for o in engine.generate(requests)}
    assert engine.loaded is not None
    for i, question in enumerate(QUESTIONS):
        wrapped = engine.loaded.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        tokens = torch.tensor([engine.loaded.tokenizer.encode(wrapped)])
        alone = engine.loaded.model.generate(tokens, max_new_tokens=8, **beams)[0, 1:]
        assert texts[str(i)] == engine.loaded.tokenizer.decode(alone, skip_special_tokens=True).strip()


def test_a_stop_string_ends_an_answer_and_is_not_part_of_it(folders: dict[str, Path]) -> None:
    engine = engine_for(folders["llama"], chat="never")
    (free,) = engine.generate([GenerateRequest("0", Prompt(QUESTIONS[0]), 20)])
    assert free.text
    middle = free.text[len(free.text) // 2]
    (stopped,) = engine.generate([GenerateRequest("0", Prompt(QUESTIONS[0]), 20, stop=(middle,))])
    assert stopped.text == free.text[: free.text.index(middle)].strip()
    assert stopped.finish == "stop"
    assert stopped.completion_tokens < free.completion_tokens


@pytest.mark.parametrize(("family", "window"), [("llama", 128), ("gpt2", 128)])
def test_a_long_plain_prompt_is_cut_from_the_left(folders: dict[str, Path], family: str, window: int) -> None:
    engine = engine_for(folders[family])
    question = "word " * 300 + "\nAnswer:"
    (output,) = engine.choose([ChoiceRequest("0", Prompt(question), ("yes", "no"))])
    assert engine.loaded is not None
    tokens = engine.loaded.tokenizer.encode(question)
    # An answer of n tokens feeds n - 1 of them, so the window holds window + 1 - n tokens of prompt.
    longest = max(len(engine.loaded.tokenizer.encode(" " + a, add_special_tokens=False)) for a in ("yes", "no"))
    assert output.prompt_tokens == window + 1 - longest
    assert output.truncated_tokens == len(tokens) - output.prompt_tokens
    assert output.prompt.endswith("Answer:")


def test_a_long_chat_prompt_loses_content_and_no_template_token(folders: dict[str, Path]) -> None:
    engine = engine_for(folders["llama"], chat="always")
    shots = (("Question: fever?\nAnswer:", "rest"), ("Question: cough?\nAnswer:", "fluids"))
    prompt = Prompt("word " * 300 + "\nAnswer:", "Answer in one word.", shots)
    (output,) = engine.generate([GenerateRequest("0", prompt, 16)])
    assert output.prompt.startswith("<|start|>user\n")
    assert output.prompt.endswith("Answer:<|end|>\n<|start|>assistant\n")
    assert output.prompt_tokens <= tiny.WINDOW - 16
    assert output.truncated_tokens > 0


def test_few_shot_examples_are_turns_under_a_template_and_text_without(folders: dict[str, Path]) -> None:
    prompt = Prompt("Q2\nAnswer:", "Be brief.", (("Q1\nAnswer:", "yes"),))
    (chat,) = engine_for(folders["llama"], chat="always").choose([ChoiceRequest("0", prompt, ("yes", "no"))])
    assert chat.prompt == (
        "<|start|>user\nBe brief.\n\nQ1\nAnswer:<|end|>\n<|start|>assistant\nyes<|end|>\n"
        "<|start|>user\nQ2\nAnswer:<|end|>\n<|start|>assistant"
    )
    (plain,) = engine_for(folders["llama"]).choose([ChoiceRequest("0", prompt, ("yes", "no"))])
    assert plain.prompt == "Be brief.\n\nQ1\nAnswer: yes\n\nQ2\nAnswer:"


@pytest.mark.parametrize(
    ("mode", "method", "template", "prompt_format", "kind"),
    [
        ("auto", "choose", "T", "", "plain"),
        ("auto", "generate", "T", "", "template"),
        ("auto", "generate", "", "", "plain"),
        ("auto", "generate", "", "Medical question: {prompt}", "format"),
        ("always", "choose", "T", "", "template"),
        ("never", "generate", "T", "Medical question: {prompt}", "plain"),
    ],
)
def test_wrapping(mode: str, method: str, template: str, prompt_format: str, kind: str) -> None:
    assert wrapping(mode, method, template, prompt_format).kind == kind


def test_dates_in_a_template_are_pinned() -> None:
    assert pin_dates('{% set d = strftime_now("%d %b %Y") %}') == "{% set d = '26 Jul 2024' %}"


def test_a_prompt_format_wraps_the_plain_prompt(folders: dict[str, Path]) -> None:
    engine = engine_for(folders["t5"], prompt_format="Medical question: {prompt}")
    (output,) = engine.generate([GenerateRequest("0", Prompt("fever?"), 4)])
    assert output.prompt == "Medical question: fever?"
    assert engine.wrapping("generate") == Wrapping("format", "Medical question: {prompt}")


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 200)), max_size=40),
    st.integers(1, 1000),
)
def test_batches_hold_every_unit_once_and_stay_within_budget(units: list[tuple[int, int]], budget: int) -> None:
    made = list(batching.batches(units, lambda u: u[0], lambda u: u[1], budget))
    assert sorted(itertools.chain(*made)) == sorted(units)
    for batch in made:
        padded = sum(rows for rows, _ in batch) * max(width for _, width in batch)
        assert padded <= budget or len(batch) == 1


def test_an_item_that_does_not_fit_alone_is_an_error_and_not_an_answer(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from medbench.engines.hf.scoring import packed_rows

    engine = engine_for(folders["llama"])
    list(engine.choose(choice_requests()))

    def no_memory(*_: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(packed_rows, "last_logits", no_memory)
    outputs = list(engine.choose(choice_requests()))
    assert len(outputs) == len(QUESTIONS)
    assert all(o.error and "out of memory" in o.error and o.logprobs is None and o.text is None for o in outputs)


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_quantized_weights_answer_nearly_the_same(tmp_path: Path, quantize: str) -> None:
    folder = tiny.save(tmp_path / "wide", "llama", width=64)
    whole, rounded = (
        {o.item_id: o.logprobs for o in engine_for(folder, quantize=q).choose(choice_requests())}
        for q in ("", quantize)
    )
    assert whole != rounded, "nothing was quantized"
    for item, logprobs in whole.items():
        assert rounded[item] == pytest.approx(logprobs, abs=6)


def test_four_bit_rows_that_a_processor_unpacks_wrongly_are_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """bitsandbytes does so on some processors where 64 does not divide a row, without a word."""
    monkeypatch.setattr(quantization, "unpacks_correctly", lambda width: False)
    with pytest.raises(UsageError, match="4-bit weights in rows of 32, which bitsandbytes unpacks incorrectly"):
        engine_for(folders["llama"], quantize="nf4").load()
    monkeypatch.undo()
    assert quantization.unpacks_correctly(64)


def test_an_adapter_changes_the_answers_as_peft_says(folders: dict[str, Path], tmp_path: Path) -> None:
    import peft
    import transformers

    torch.manual_seed(1)
    base = transformers.AutoModelForCausalLM.from_pretrained(folders["llama"])
    lora = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    peft.get_peft_model(base, lora).save_pretrained(tmp_path)
    engine = engine_for(folders["llama"], adapter=str(tmp_path))
    (output,) = engine.choose(choice_requests(QUESTIONS[:1]))
    merged = peft.PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(folders["llama"]), tmp_path
    ).merge_and_unload()
    alone = engine_for(folders["llama"])
    alone.load()
    (without,) = alone.choose(choice_requests(QUESTIONS[:1]))
    assert alone.loaded is not None
    alone.loaded = dataclasses.replace(alone.loaded, model=merged)
    with torch.inference_mode():
        expected = [one_at_a_time(alone, QUESTIONS[0], answer) for answer in ANSWERS]
    assert output.logprobs == pytest.approx(expected, abs=1e-4)
    assert output.logprobs != pytest.approx(without.logprobs, abs=1e-2)
    assert engine.describe()["architecture"] == "LlamaForCausalLM"
    assert (engine.describe()["choosing"], "writing" in engine.describe()) == ("packed rows", False)


def damaged(folder: Path, to: Path) -> Path:
    """The tiny llama with one weight that is no number."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    model.model.norm.weight.data[0] = float("nan")
    model.save_pretrained(to)
    tiny.tokenizer().save_pretrained(to)
    return to


@pytest.mark.parametrize("generation", [{}, {"num_beams": 2}])
def test_a_model_that_gives_no_numbers_gives_no_answers(
    folders: dict[str, Path], tmp_path: Path, generation: dict[str, Any]
) -> None:
    engine = engine_for(damaged(folders["llama"], tmp_path), generation=generation)
    outputs = [*engine.choose(choice_requests()), *engine.generate([GenerateRequest("0", Prompt("fever?"), 4)])]
    assert len(outputs) == len(QUESTIONS) + 1
    assert all(o.error and "NaN" in o.error and o.text is None and o.logprobs is None for o in outputs)


def test_a_model_whose_cache_is_another_is_searched_as_transformers_does(tmp_path: Path) -> None:
    import transformers

    words = tiny.tokenizer(chat=False)
    torch.manual_seed(0)
    config = transformers.MambaConfig(vocab_size=len(words), hidden_size=32, num_hidden_layers=2, state_size=4)
    config.bos_token_id = config.eos_token_id = 1
    config.initializer_range = 0.5
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    engine = engine_for(tmp_path)
    texts = {o.item_id: o.text for o in engine.generate([GenerateRequest("0", Prompt(QUESTIONS[0]), 8)])}
    with torch.inference_mode():
        assert texts == {"0": greedy_alone(engine, QUESTIONS[0], 8)}


def test_a_tokenizer_that_ends_every_text_does_not_end_a_prompt(folders: dict[str, Path], tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folders["llama"]).save_pretrained(tmp_path)
    ending = tiny.tokenizer(chat=False)
    ending.backend_tokenizer.post_processor = TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    ending.save_pretrained(tmp_path)
    expected = {o.item_id: o.logprobs for o in engine_for(folders["llama"]).choose(choice_requests())}
    outputs = {o.item_id: o.logprobs for o in engine_for(tmp_path).choose(choice_requests())}
    for item, logprobs in outputs.items():
        assert logprobs == pytest.approx(expected[item], abs=1e-4)


def test_an_answer_that_leaves_no_room_for_the_prompt_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(MedbenchError, match="120 new tokens leave too little of the model's window of 128"):
        list(engine_for(folders["gpt2"]).generate([GenerateRequest("0", Prompt("fever?"), 120)]))


def test_a_long_prompt_keeps_its_format(folders: dict[str, Path]) -> None:
    engine = engine_for(folders["llama"], prompt_format="Medical question: {prompt}")
    (output,) = engine.generate([GenerateRequest("0", Prompt("word " * 300 + "\nAnswer:"), 16)])
    assert output.prompt.startswith("Medical question: ")
    assert output.prompt.endswith("Answer:")
    assert output.prompt_tokens <= tiny.WINDOW - 16


def test_what_a_models_own_generation_settings_say_is_not_used(folders: dict[str, Path], tmp_path: Path) -> None:
    import transformers

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folders["t5"])
    model.generation_config.update(num_beams=4, repetition_penalty=3.0, min_length=5)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    requests = [GenerateRequest(str(i), Prompt(q), 12) for i, q in enumerate(QUESTIONS)]
    plain = {o.item_id: o.text for o in engine_for(folders["t5"], chat="never").generate(requests)}
    assert {o.item_id: o.text for o in engine_for(tmp_path, chat="never").generate(requests)} == plain


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "{}", '{"model": 7}', "\x00" * 64], ids=["deep", *"abcd"])
def test_a_damaged_tokenizer_is_told_in_words(folders: dict[str, Path], tmp_path: Path, content: str) -> None:
    """The readers of json and tokenizers raise RecursionError, TypeError and Exception itself."""
    shutil.copytree(folders["llama"], tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(MedbenchError, match="does not load as a model"):
        engine_for(tmp_path).load()


def test_damaged_weights_are_told_in_words(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["llama"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[: 2000 if file.suffix == ".safetensors" else None])
    with pytest.raises(MedbenchError, match="the weights of tiny do not load"):
        engine_for(tmp_path).load()
