"""Models whose padding, end or beginning tokens are missing or have no embedding; windows of nested configurations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import entries
import pytest
import tiny
from click.testing import CliRunner, Result
from medbench.cli import cli
from medbench.core.errors import MedbenchError
from medbench.core.types import ChoiceRequest, GenerateRequest, ModelSpec, Prompt
from medbench.engines.hf.engine import TransformersEngine
from medbench.engines.hf.loading import window
from medbench.engines.prompting import Prompter, Wrapping

PROMPTS = ("Question: What helps against fever?\nAnswer:", "Answer:", "Abstract: The trial enrolled 120 patients.")
ANSWERS = ("rest", "aspirin and fluids", "no")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("MEDBENCH_DATA", "MEDBENCH_HOME"):
        monkeypatch.delenv(name, raising=False)


def edited(folder: Path, **files: dict[str, Any]) -> Path:
    """A model folder with other values in its JSON files; None takes a value out. `config` is config.json."""
    for name, changes in files.items():
        path = folder / f"{name}.json"
        value = json.loads(path.read_text()) if path.exists() else {}
        kept = {key: part for key, part in (value | changes).items() if part is not None}
        path.write_text(json.dumps(kept))
    return folder


def without(folder: Path, *tokens: str) -> Path:
    """The folder without these special tokens ("pad", "eos", "bos"), in no file that names them."""
    gone: dict[str, Any] = {f"{token}_token": None for token in tokens}
    ids: dict[str, Any] = {f"{token}_token_id": None for token in tokens}
    return edited(folder, tokenizer_config=gone, config=ids, generation_config=ids)


def with_outside_padding(folder: Path, *, in_config: bool) -> Path:
    """A padding token added to the tokenizer, and to the configuration or not, without an embedding for it."""
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    words.add_special_tokens({"pad_token": "[PAD]"})
    words.save_pretrained(folder)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert words.pad_token_id == size, "just outside"
    return edited(folder, config={"pad_token_id": size}) if in_config else folder


def answered(folder: Path, **spec: Any) -> tuple[list[list[float]], list[str]]:
    """Log-probabilities and texts for PROMPTS, all in one batch, so that there is padding."""
    engine = TransformersEngine(ModelSpec("m", str(folder), "1", device="cpu", chat="never", **spec))
    chosen = {o.item_id: o for o in engine.choose([ChoiceRequest(p, Prompt(p), ANSWERS) for p in PROMPTS])}
    asks = [GenerateRequest(p, Prompt(p), max_new_tokens=8) for p in PROMPTS]
    written = {o.item_id: o for o in engine.generate(asks)}
    for output in (*chosen.values(), *written.values()):
        assert not output.error, output.error
    return [list(chosen[p].logprobs or ()) for p in PROMPTS], [written[p].text or "" for p in PROMPTS]


def same(found: tuple[list[list[float]], list[str]], right: tuple[list[list[float]], list[str]]) -> None:
    for values, expected in zip(found[0], right[0], strict=True):
        assert values == pytest.approx(expected, abs=1e-3)
    assert found[1] == right[1]


BEAMS = {"num_beams": 2, "no_repeat_ngram_size": 3}


# --- padding


@pytest.mark.parametrize("family", ["llama", "gpt2", "biogpt", "mamba", "t5"])
@pytest.mark.parametrize("in_config", [False, True])
def test_a_padding_token_without_an_embedding_changes_no_answer(family: str, in_config: bool, tmp_path: Path) -> None:
    right = answered(tiny.save(tmp_path / "right", family))
    same(answered(with_outside_padding(tiny.save(tmp_path / "model", family), in_config=in_config)), right)


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_nor_does_it_with_beams(family: str, tmp_path: Path) -> None:
    right = answered(tiny.save(tmp_path / "right", family), generation=BEAMS)
    broken = with_outside_padding(tiny.save(tmp_path / "model", family), in_config=True)
    same(answered(broken, generation=BEAMS), right)


def test_a_negative_padding_token(tmp_path: Path) -> None:
    """Llama 1 was published with "pad_token_id": -1."""
    right = answered(tiny.save(tmp_path / "right", "llama"))
    same(answered(edited(tiny.save(tmp_path / "model", "llama"), config={"pad_token_id": -1})), right)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mamba"])
def test_no_padding_token(family: str, tmp_path: Path) -> None:
    right = answered(tiny.save(tmp_path / "right", family))
    same(answered(without(tiny.save(tmp_path / "model", family), "pad")), right)


def test_a_list_where_one_padding_token_is_expected_is_refused_with_the_field(tmp_path: Path) -> None:
    edited(tiny.save(tmp_path / "model", "llama"), config={"pad_token_id": [0, 5]})
    asked = ["run", "-m", "model", "-b", "medqa-sample", "--limit", "2", "--latency-items", "0", "--device", "cpu"]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert "does not load as a model: Validation error for field 'pad_token_id': TypeError: " in said
    assert "[0, 5]" in said


# --- no end


@pytest.mark.parametrize("settings", [{}, BEAMS])
def test_without_an_end_token_texts_run_to_the_limit(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = without(tiny.save(tmp_path / "model", "llama"), "pad", "eos", "bos")
    engine = TransformersEngine(ModelSpec("m", str(folder), "1", device="cpu", chat="never", generation=settings))
    asks = [GenerateRequest(p, Prompt(p), max_new_tokens=8) for p in PROMPTS]
    outputs = list(engine.generate(asks))
    assert [(o.finish, o.completion_tokens) for o in outputs] == [("length", 8)] * 3
    right = answered(tiny.save(tmp_path / "right", "llama"))[0]
    for values, expected in zip(answered(folder, generation=settings)[0], right, strict=True):
        assert values == pytest.approx(expected, abs=1e-3)


def test_an_empty_prompt_has_nothing_to_begin_with(tmp_path: Path) -> None:
    folder = without(tiny.save(tmp_path / "model", "llama"), "pad", "eos", "bos")
    engine = TransformersEngine(ModelSpec("m", str(folder), "1", device="cpu", chat="never"))
    with pytest.raises(MedbenchError, match="neither a beginning-of-text nor an end-of-text token"):
        list(engine.generate([GenerateRequest("1", Prompt(""), max_new_tokens=4)]))


def test_a_decoder_that_no_token_begins_is_refused(tmp_path: Path) -> None:
    gone = {"decoder_start_token_id": None, "bos_token_id": None}
    folder = edited(tiny.save(tmp_path / "model", "t5"), config=gone, generation_config=gone)
    for ask in (lambda e: e.choose([ChoiceRequest("1", Prompt("Which?"), ANSWERS)]),):
        engine = TransformersEngine(ModelSpec("m", str(folder), "1", device="cpu", chat="never"))
        with pytest.raises(MedbenchError, match="neither decoder_start_token_id nor bos_token_id") as error:
            list(ask(engine))
        assert "config.json" in error.value.hint


# --- tokens without an embedding


def test_a_prompt_with_a_token_that_the_model_lacks_fails_alone(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = tiny.save(tmp_path / "model", "llama")
    words = AutoTokenizer.from_pretrained(folder)
    words.add_tokens(["<dose>"])
    words.save_pretrained(folder)
    engine = TransformersEngine(ModelSpec("m", str(folder), "1", device="cpu", chat="never"))
    prompts = {"sound": Prompt("How much?"), "lacking": Prompt("How much <dose>?")}
    chosen = {o.item_id: o for o in engine.choose([ChoiceRequest(i, p, ANSWERS) for i, p in prompts.items()])}
    written = {o.item_id: o for o in engine.generate([GenerateRequest(i, p, 4) for i, p in prompts.items()])}
    for outputs in (chosen, written):
        assert outputs["sound"].error is None
        assert "the token '<dose>' (id 400), for which the model has no embedding: it has 400" in (
            outputs["lacking"].error or ""
        )
        assert outputs["lacking"].logprobs is None and outputs["lacking"].text is None


# --- training


def train(file: Path, *more: str) -> Result:
    words = ["train", "--model", str(file), "--tag", "t", "--max-steps", "2", "--device", "cpu"]
    quick = [f"--set=data={entries.data(file.parent)}", "--set=batch_size=2", "--set=max_length=128"]
    return CliRunner().invoke(cli, [*words, *quick, *more])


@pytest.mark.parametrize("spoil", ["no padding", "padding outside", "neither end nor padding"])
def test_training_fills_up_with_a_token_that_the_model_has(spoil: str, tmp_path: Path) -> None:
    file = entries.entry(tmp_path, "smollm2-135m")
    folder = tmp_path / "weights-smollm2-135m"
    if spoil == "padding outside":
        with_outside_padding(folder, in_config=True)
    else:
        without(folder, "pad", *(["eos", "bos"] if spoil.startswith("neither") else []))
    done = train(file)
    assert done.exit_code == 0, done.output
    asked = ["run", "-m", f"{file}@t", "-b", "medqa-sample", "--limit", "2", "--latency-items", "0", "--device", "cpu"]
    run = CliRunner().invoke(cli, asked)
    assert run.exit_code == 0, run.output


# --- what a tokenizer writes in front of a prompt stays when the prompt is cut


class Fronted:
    """The tiny tokenizer with these tokens in front of every text, as some write a special token of their own there."""

    def __init__(self, *front: int) -> None:
        self.words, self.front = tiny.tokenizer(), list(front)
        self.eos_token_id, self.bos_token_id = 1, 0

    def __call__(self, texts: Sequence[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        rows = self.words(list(texts), add_special_tokens=False)["input_ids"]
        return {"input_ids": [[*(self.front if add_special_tokens else []), *row] for row in rows]}

    def decode(self, tokens: list[int], **settings: Any) -> str:
        return str(self.words.decode(tokens, **settings))


@pytest.mark.parametrize("front", [(), (0,), (1,), (2,), (2, 3)])
def test_a_cut_prompt_keeps_them(front: tuple[int, ...]) -> None:
    """BioGPT writes its end token (here 1) in front, GLM two tokens, most models the beginning (here 0) or nothing."""
    words = Fronted(*front)
    long = Prompt("cough " * 60 + "Answer:")
    encoded = Prompter(words, 40, encoder_decoder=False).for_generation(long, Wrapping("plain"), 8)
    assert len(encoded.tokens) == 32
    assert encoded.tokens[: len(front)] == list(front)
    assert encoded.tokens[len(front) :] == words([long.plain], False)["input_ids"][0][len(front) - 32 :]
    assert encoded.text.endswith("cough Answer:")


@pytest.mark.parametrize("front", [(), (0,), (1,), (2,), (2, 3)])
def test_a_cut_prompt_keeps_them_where_options_are_scored(front: tuple[int, ...]) -> None:
    words = Fronted(*front)
    long = Prompt("cough " * 60 + "Answer:")
    encoded, ends = Prompter(words, 40, encoder_decoder=False).for_choice(long, Wrapping("plain"), ["A", "B"])
    assert [words.decode(end) for end in ends] == [" A", " B"]
    assert max(map(len, ends)) == 2 and len(encoded.tokens) == 39, "the last token is read off, not fed"
    assert encoded.tokens[: len(front)] == list(front)
    assert encoded.tokens[len(front) :] == words([long.plain], False)["input_ids"][0][len(front) - 39 :]


@pytest.mark.parametrize("front", [(0,), (1,), (2, 3)])
def test_a_prompt_that_fits_keeps_them_once(front: tuple[int, ...]) -> None:
    words = Fronted(*front)
    encoded = Prompter(words, 40, encoder_decoder=False).for_generation(Prompt("cough"), Wrapping("plain"), 8)
    assert encoded.tokens == [*front, *words(["cough"], False)["input_ids"][0]]
    assert encoded.truncated == 0


def test_answers_to_cut_prompts_are_transformers_own(tmp_path: Path) -> None:
    """BioGPT in a window of 64 tokens, "</s>" in front: </s> and the last 55 tokens of the prompt, then 8 new ones."""
    import torch
    import transformers as hf
    from tokenizers.processors import TemplateProcessing

    folder = tiny.save(tmp_path / "model", "biogpt", chat=False, window=64)
    words = tiny.tokenizer(chat=False)
    words.backend_tokenizer.post_processor = TemplateProcessing(single="<eos> $A", special_tokens=[("<eos>", 1)])
    words.save_pretrained(folder)
    long = "Question: cough and fever? " * 12 + "Answer:"
    engine = TransformersEngine(ModelSpec("m", str(folder), "1", device="cpu", chat="never"))
    (output,) = engine.generate([GenerateRequest("1", Prompt(long), max_new_tokens=8)])
    kept = [1, *words(long, add_special_tokens=False)["input_ids"][-55:]]
    model = hf.AutoModelForCausalLM.from_pretrained(folder).eval()
    made = model.generate(torch.tensor([kept]), max_new_tokens=8, do_sample=False)[0, len(kept) :].tolist()
    assert output.text == words.decode(made, skip_special_tokens=True).strip() != ""
    assert (output.prompt_tokens, output.truncated_tokens) == (56, len(words(long)["input_ids"]) - 56)


def test_a_cut_biogpt_prompt_keeps_its_end_token(tmp_path: Path) -> None:
    """transformers' own BioGPT tokenizer: </s> in front, <s> as the beginning token."""
    from transformers import BioGptTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "c", "o", "u", "g", "h</w>", "co", "ug", "coug", "cough</w>"]
    (tmp_path / "vocab.json").write_text(json.dumps({piece: at for at, piece in enumerate(pieces)}))
    (tmp_path / "merges.txt").write_text("c o 1\nu g 1\nco ug 1\ncoug h</w> 1\n")
    try:
        words = BioGptTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    except ImportError as error:
        pytest.skip(str(error))
    assert words("cough")["input_ids"] == [2, 12] and words.bos_token_id == 0
    encoded = Prompter(words, 16, encoder_decoder=False).for_generation(Prompt("cough " * 50), Wrapping("plain"), 4)
    assert encoded.tokens == [2] + [12] * 11


# --- windows


def test_the_window_of_a_model_that_sees_is_that_of_its_text_part(tmp_path: Path) -> None:
    """Gemma 3 as published, from 4B on: `text_config` in config.json. Its answers are transformers' own."""
    import torch
    import transformers as hf

    words = tiny.tokenizer()
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    heads = {"num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16}
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "vocab_size": len(words)}
    text = hf.Gemma3TextConfig(**size, **heads, **ends, max_position_embeddings=90, initializer_range=0.3)
    eyes = hf.SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = hf.Gemma3Config(text_config=text, vision_config=eyes, mm_tokens_per_image=4, image_token_index=3)
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(tmp_path / "gemma3")
    words.save_pretrained(tmp_path / "gemma3")
    assert "max_position_embeddings" not in json.loads((tmp_path / "gemma3" / "config.json").read_text())

    asked = ["run", "-m", "gemma3", "-b", "medqa-sample", "--limit", "2", "--latency-items", "0", "--device", "cpu"]
    done = CliRunner().invoke(cli, [*asked, "--out", "runs"])
    assert done.exit_code == 0, done.output
    (path,) = Path("runs").glob("*/manifest.json")
    assert json.loads(path.read_text())["engine"]["window_tokens"] == 90
    (samples,) = Path("runs").glob("*/samples.jsonl")
    outputs = [json.loads(line)["output"] for line in samples.read_text().splitlines() if "output" in line]
    assert all(o["truncated_tokens"] > 0 and o["prompt_tokens"] <= 90 for o in outputs)

    values, texts = answered(tmp_path / "gemma3")
    for prompt, found, wrote in zip(PROMPTS, values, texts, strict=True):
        start = words(prompt)["input_ids"]
        for answer, value in zip(ANSWERS, found, strict=True):
            ids = words(f"{prompt} {answer}")["input_ids"]
            with torch.no_grad():
                steps = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            right = sum(steps[at - 1, ids[at]].item() for at in range(len(start), len(ids)))
            assert value == pytest.approx(right, abs=1e-3)
        made = model.generate(torch.tensor([start]), max_new_tokens=8, do_sample=False)[0, len(start) :].tolist()
        assert wrote == words.decode(made, skip_special_tokens=True).strip()


@pytest.mark.parametrize("kind", ["llava", "qwen2_vl"])
def test_models_that_load_with_their_eyes_only(kind: str, tmp_path: Path) -> None:
    """transformers has no class for their text part alone. Window and values are the text part's."""
    import torch
    import transformers as hf

    words = tiny.tokenizer()
    size: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    size |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": len(words), "initializer_range": 0.3}
    size |= {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0, "max_position_embeddings": 90}
    if kind == "llava":
        eyes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        seen = hf.CLIPVisionConfig(**eyes, image_size=28, patch_size=14)
        config = hf.LlavaConfig(text_config=hf.LlamaConfig(**size), vision_config=seen, image_token_index=3)
    else:
        turns = {"type": "mrope", "mrope_section": [1, 1, 2]}
        vision = {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 32, "patch_size": 14}
        config = hf.Qwen2VLConfig(text_config=size | {"rope_scaling": turns}, vision_config=vision)
    torch.manual_seed(0)
    model = hf.AutoModelForImageTextToText.from_config(config).eval()
    model.save_pretrained(tmp_path / kind)
    words.save_pretrained(tmp_path / kind)

    asked = ["run", "-m", kind, "-b", "medqa-sample", "--limit", "2", "--latency-items", "0", "--device", "cpu"]
    done = CliRunner().invoke(cli, [*asked, "--out", "runs"])
    assert done.exit_code == 0, done.output
    (path,) = Path("runs").glob("*/manifest.json")
    assert json.loads(path.read_text())["engine"]["window_tokens"] == 90

    values, texts = answered(tmp_path / kind)
    for prompt, found, wrote in zip(PROMPTS, values, texts, strict=True):
        start = words(prompt)["input_ids"]
        for answer, value in zip(ANSWERS, found, strict=True):
            ids = words(f"{prompt} {answer}")["input_ids"]
            with torch.no_grad():
                steps = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            right = sum(steps[at - 1, ids[at]].item() for at in range(len(start), len(ids)))
            assert value == pytest.approx(right, abs=1e-3)
        model.model.rope_deltas = None  # Qwen2-VL keeps it from the last text
        made = model.generate(torch.tensor([start]), max_new_tokens=8, do_sample=False)[0, len(start) :].tolist()
        assert wrote == words.decode(made, skip_special_tokens=True).strip()


NONE = SimpleNamespace(model_max_length=10**30)


@pytest.mark.parametrize(
    ("kind", "settings", "limit", "right"),
    [
        ("llama", {"max_position_embeddings": 300}, NONE, 300),
        ("gpt2", {"n_positions": 300}, NONE, 300),
        ("qwen2_vl", {"text_config": {"max_position_embeddings": 300}}, NONE, 300),
        ("llava", {"text_config": {"model_type": "llama", "max_position_embeddings": 300}}, NONE, 300),
        ("mistral3", {"text_config": {"model_type": "mistral", "max_position_embeddings": 300}}, NONE, 300),
        ("bloom", {}, NONE, 2048),
        ("t5", {}, SimpleNamespace(model_max_length=512), 512),
    ],
)
def test_where_a_window_is_found(kind: str, settings: dict[str, Any], limit: Any, right: int) -> None:
    from transformers import AutoConfig

    assert window(AutoConfig.for_model(kind, **settings), limit) == right


def test_the_encoders_window_counts() -> None:
    from transformers import T5GemmaConfig, T5GemmaModuleConfig

    encoder, decoder = T5GemmaModuleConfig(max_position_embeddings=300), T5GemmaModuleConfig(max_position_embeddings=90)
    assert window(T5GemmaConfig(encoder=encoder, decoder=decoder), NONE) == 300
