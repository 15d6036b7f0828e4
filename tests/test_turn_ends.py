"""Tokens that end a turn in the chat template end the answer; special tokens that mark reasoning survive decoding."""

import dataclasses
from pathlib import Path

import pytest
import tiny
import torch
from medbench.core.types import GenerateRequest, ModelSpec, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.prompting import Wrapping
from medbench.engines.stopping import decoded, turn_ends
from medbench.results.manifest_file import _with_budget

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
LLAMA_3 = "{% for m in messages %}<|role|>{{ m.role }}<|role|>\n\n{{ m.content }}<|eot_id|>{% endfor %}"
GEMMA = "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"


@pytest.mark.parametrize(
    ("template", "end"), [(CHATML, "<|im_end|>"), (LLAMA_3, "<|eot_id|>"), (GEMMA, "<end_of_turn>")]
)
def test_the_token_after_an_answer_in_the_template_ends_it(template: str, end: str) -> None:
    words = tiny.tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<start_of_turn>", "<|role|>", end]})
    assert turn_ends(words, Wrapping("template", template)) == {words.convert_tokens_to_ids(end)}
    assert turn_ends(words, Wrapping("plain")) == frozenset()


@pytest.mark.parametrize(("added", "ends"), [("<|im_end|>", True), ("[/END]", True), ("fever", False), ("...", False)])
def test_an_end_that_was_added_as_an_ordinary_token_counts_if_it_looks_like_a_mark(added: str, ends: bool) -> None:
    words = tiny.tokenizer()
    words.add_tokens([added])
    wrap = Wrapping("template", "{% for m in messages %}{{ m.content }}" + added + "\n{% endfor %}")
    assert turn_ends(words, wrap) == ({words.convert_tokens_to_ids(added)} if ends else frozenset())


@pytest.mark.parametrize(
    "template", ["{{ messages[0].content }}", "{{ raise_exception('no') }}", "{{ messages[1].content }}!"]
)
def test_a_template_that_ends_nothing(template: str) -> None:
    """A word or nothing after the answer is no end, and a template that refuses is not an error yet."""
    assert turn_ends(tiny.tokenizer(), Wrapping("template", template)) == frozenset()


def test_a_model_whose_configuration_does_not_know_its_end_of_turn_stops_there(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "m", "llama")  # its configuration names <eos>; its template ends turns with <|end|>
    engine = TransformersEngine(ModelSpec("m", str(folder), "0", device="cpu", dtype="float32"))
    engine.load()
    assert engine.loaded is not None
    end = engine.loaded.tokenizer.convert_tokens_to_ids("<|end|>")
    head = engine.loaded.model.get_output_embeddings()
    head.weight = torch.nn.Parameter(torch.zeros_like(head.weight))
    head.bias = torch.nn.Parameter(torch.nn.functional.one_hot(torch.tensor(end), head.weight.shape[0]).float())
    (output,) = engine.generate([GenerateRequest("i", Prompt("fever?"), 8)])
    assert (output.text, output.completion_tokens, output.finish) == ("", 1, "stop")
    plain = TransformersEngine(dataclasses.replace(engine.spec, chat="never"))
    plain.loaded = engine.loaded
    (output,) = plain.generate([GenerateRequest("i", Prompt("fever?"), 8)])
    assert (output.completion_tokens, output.finish) == (8, "length"), "without a template there are no turns"


def test_special_tokens_that_mark_reasoning_are_decoded() -> None:
    words = tiny.tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]", "<|im_end|>"]})
    tokens = words.encode("[THINK]cough[/THINK]fever<|im_end|>", add_special_tokens=False)
    assert decoded(words, tokens) == "[THINK]cough[/THINK]fever"


def test_an_old_generated_run_is_comparable_by_the_budget_that_its_settings_name() -> None:
    """32 tokens and 256 never share a column; an open benchmark whose budget is the same still does."""
    settings = {"max_new_tokens": 32, "stop": ["\n\n"]}
    assert _with_budget({"benchmark": "medqa"}, "generate", settings) == {"benchmark": "medqa"} | settings
    assert _with_budget({"benchmark": "medqa"}, "logprob", settings) == {"benchmark": "medqa"}
    new = {"max_new_tokens": 256, "stop": []}
    assert _with_budget(new, "generate", settings) == new
