"""The zoo's eight entries in small: their own configuration with small dimensions, random weights, and a tokenizer of
the same kind as the real one, trained on a few sentences."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import tiny
from medbench.core import registry

WINDOW = 256
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    "{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + "
    "m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + "
    "m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
CHATML = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n' }}"
    "{% endif %}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SMALL = {
    "llama": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": WINDOW,
    },
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": WINDOW},
    "biogpt": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": WINDOW,
    },
    "gemma2": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "query_pre_attn_scalar": 32,
        "sliding_window": 16,  # shorter than the prompts, so that both kinds of layer are seen
        "max_position_embeddings": WINDOW,
    },
    "t5": {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4},
}


def save(folder: Path, entry: str) -> Path:
    """Write the zoo entry in small to `folder`."""
    import torch
    import transformers as hf

    folder.mkdir(parents=True, exist_ok=True)
    config = dict(registry.get("zoo", entry).config)
    kind = config["model_type"]
    words = {"gemma2": _gemma, "t5": _t5}.get(kind, lambda folder: _bpe(folder, entry))(folder)
    ids = {
        "vocab_size": len(words),
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    rope = {}
    if "original_max_position_embeddings" in (config.get("rope_parameters") or {}):
        rope = {"rope_parameters": config["rope_parameters"] | {"original_max_position_embeddings": WINDOW // 4}}
    if kind == "t5":
        ids["decoder_start_token_id"] = words.pad_token_id
    made = hf.AutoConfig.for_model(**(config | SMALL[kind] | ids | rope))
    made.initializer_range = 0.2  # so that answers differ from item to item
    torch.manual_seed(0)
    family = hf.AutoModelForSeq2SeqLM if kind == "t5" else hf.AutoModelForCausalLM
    family.from_config(made).save_pretrained(folder)
    return folder


def _bpe(folder: Path, entry: str) -> Any:
    """A byte-level BPE tokenizer that splits text as the entry's real one does."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    marks, template, pad = {
        "smollm2-135m": (["<|endoftext|>", "<|im_start|>", "<|im_end|>"], CHATML, "<|im_end|>"),
        "med-llama-3.2-1b": (
            ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
            LLAMA_TEMPLATE,
            "<|eot_id|>",
        ),
    }.get(entry, (["<|endoftext|>"], None, "<|endoftext|>"))
    llama3 = entry == "med-llama-3.2-1b"
    bpe = Tokenizer(models.BPE(ignore_merges=llama3))
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.pre_tokenizer = {
        "smollm2-135m": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain]),
        "med-llama-3.2-1b": pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    }.get(entry, plain)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=marks, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(tiny.CORPUS * 4, trainer)
    if llama3:
        start = ("<|begin_of_text|>", bpe.token_to_id("<|begin_of_text|>"))
        bpe.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(single=f"{start[0]} $A", special_tokens=[start]),
            ]
        )
    first = {"smollm2-135m": "<|im_start|>"}.get(entry, marks[0])
    words = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=first, eos_token=marks[-1], pad_token=pad, chat_template=template
    )
    words.save_pretrained(folder)
    return words


def _gemma(folder: Path) -> Any:
    """A sentencepiece BPE vocabulary with Gemma's own marks, in both files that the real repository has."""
    _sentencepiece(
        folder / "tokenizer.model",
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>"],
    )
    named = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return _from_sentencepiece(
        folder, "gemma2", {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True} | named, GEMMA_TEMPLATE
    )


def _t5(folder: Path) -> Any:
    _sentencepiece(
        folder / "spiece.model", model_type="unigram", vocab_size=260, pad_id=0, eos_id=1, unk_id=2, bos_id=-1
    )
    return _from_sentencepiece(folder, "t5", {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}, "")


def _sentencepiece(file: Path, **settings: Any) -> None:
    import sentencepiece

    content = io.BytesIO()
    pieces = {"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>", "unk_piece": "<unk>"}
    if settings["model_type"] == "unigram":
        pieces["eos_piece"] = "</s>"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tiny.CORPUS * 20),
        model_writer=content,
        character_coverage=1.0,
        minloglevel=2,
        hard_vocab_limit=False,
        **pieces,
        **settings,
    )
    file.write_bytes(content.getvalue())


def _from_sentencepiece(folder: Path, kind: str, settings: dict[str, Any], template: str) -> Any:
    from transformers import AutoTokenizer

    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    words = AutoTokenizer.from_pretrained(folder)
    if template:
        words.chat_template = template
    words.save_pretrained(folder)
    return words
