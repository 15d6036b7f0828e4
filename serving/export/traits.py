"""What a GGUF file must share with the model: tokenization, the chat template, the tokens that end an answer."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ...core.errors import MedbenchError
from ...core.types import ModelSpec
from ...zoo.weights.gguf_header import read_header

PROBES = (
    "A 45-year-old woman has had fever (38.5 °C), cough and dyspnea for 3 days.",
    "Question: Which drug is contraindicated?\nA. aspirin\nB. heparin\n\nAnswer:",
    "  Two spaces, a tab\tand 1,234.56 mg/dL; β-blockers don't, they're ≥ 10%.\n",
    "HbA1c 7.2% → metformin 500mg 2x/day — naïve café 𝛼 患者 😷",
)
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True)
class Traits:
    """What determines, apart from the weights, how a model is asked and when it stops."""

    architecture: str  # transformers' class
    template: str  # the chat template; "" without one
    eos: int | None  # ends a text, by the tokenizer
    turn_end: int | None  # ends an answer under the chat template, if different from `eos`
    ends: tuple[int, ...]  # all tokens that end an answer
    end_texts: tuple[str, ...]  # the same as text, for stop parameters
    pre_tokenizer: str  # llama.cpp's name for how text is split before merges, from tokenizer.json; "": unknown


def traits(spec: ModelSpec) -> tuple[Traits, Any, Any]:
    """Return the traits of a model on this disk, its configuration and its tokenizer, without reading weights."""
    from ...engines import chat_templates
    from ...engines.hf.loading import opened
    from ...engines.prompting import Wrapping
    from ...engines.stopping import turn_ends

    config, tokenizer = opened(spec.location, False, spec.adapter)
    template = chat_templates.of_folder(spec.location, spec.adapter)
    after_turn = turn_ends(tokenizer, Wrapping("template", template)) if template else frozenset[int]()
    eos = tokenizer.eos_token_id
    ends = sorted({*_configured(Path(spec.location), config), *after_turn, *([] if eos is None else [eos])})
    others = sorted(after_turn - {eos}) or [token for token in ends if token != eos]
    found = Traits(
        architecture=_architecture(config),
        template=template,
        eos=eos,
        turn_end=others[0] if others else None,
        ends=tuple(ends),
        end_texts=tuple(str(tokenizer.convert_ids_to_tokens(token)) for token in ends),
        pre_tokenizer=_pre_tokenizer(tokenizer),
    )
    return found, config, tokenizer


def _architecture(config: Any) -> str:
    """Return the class that loads the model, as config.json names it or transformers knows it."""
    import transformers as hf

    if config.architectures:
        return str(config.architectures[0])
    mapping = hf.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if config.is_encoder_decoder else hf.MODEL_FOR_CAUSAL_LM_MAPPING
    found = mapping.get(type(config), None)
    return str(found.__name__) if found else type(config).__name__


def _configured(folder: Path, config: Any) -> list[int]:
    """Return the end tokens in the model's own configuration."""
    path = folder / "generation_config.json"
    said: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    value = said.get("eos_token_id", getattr(config, "eos_token_id", None))
    return [token for token in (value if isinstance(value, list) else [value]) if isinstance(token, int)]


def _pre_tokenizer(tokenizer: Any) -> str:
    """llama.cpp's name for how a BPE tokenizer splits text before merges; "" for one that is not in the table.

    llama.cpp's converter recognizes vocabularies, by a hash of what they make of a text. A model with a vocabulary of
    its own (BioMedLM) splits text as a known one does all the same.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    said = json.loads(backend.to_str()) if backend is not None else {}
    if (said.get("model") or {}).get("type") != "BPE" or said.get("normalizer"):
        return ""
    splitter = said.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space"):
        return ""
    plain = bool(steps[-1].get("use_regex", True))
    before = [
        (step.get("type"), step.get("pattern", {}).get("Regex"), step.get("individual_digits")) for step in steps[:-1]
    ]
    if not before:
        return "gpt-2" if plain else ""
    if len(before) > 1:
        return ""
    ((kind, pattern, single),) = before
    if kind == "Digits" and single and plain:
        return "smollm"
    if kind == "Split" and not plain:
        return {LLAMA3_SPLIT: "llama-bpe", QWEN2_SPLIT: "qwen2"}.get(str(pattern), "")
    return ""


def differences(file: Path, found: Traits, tokenizer: Any) -> list[str]:
    """Return how a GGUF file differs from the model, a sentence each. The file may lack weights.

    The header is read by medbench. Tokens and ends are asked of llama.cpp if llama-cpp-python is installed.
    """
    header = read_header(file)
    wrong = []
    if header.chat_template != found.template:
        wrong.append("the chat template in the file is not the model's")
    if found.eos is not None and header.eos_token_id not in found.ends:
        wrong.append(f"the file ends a text with token {header.eos_token_id}, the model with {found.eos}")
    if importlib.util.find_spec("llama_cpp") is None:
        return wrong
    with _Vocabulary(file) as words:
        wrong += _read_differently(words, found, tokenizer)
    return wrong


def _read_differently(words: _Vocabulary, found: Traits, tokenizer: Any) -> list[str]:
    """Return where llama.cpp's tokens differ from the tokenizer's: at ends of answers, and in the first such text."""
    wrong = []
    missed = [text for token, text in zip(found.ends, found.end_texts, strict=True) if not words.ends(token)]
    if missed:
        wrong.append(f"llama.cpp does not end an answer at {', '.join(missed)}")
    for text in _probes(found, tokenizer):
        ours = list(tokenizer(text)["input_ids"])
        theirs = words.tokens(text)
        if ours != theirs:
            at = next((n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
            near = tokenizer.decode(ours[max(0, at - 2) : at + 3])
            wrong.append(f"llama.cpp reads other tokens than transformers near {near!r}")
            break
    return wrong


def checked_by_llama_cpp() -> bool:
    return importlib.util.find_spec("llama_cpp") is not None


def _probes(found: Traits, tokenizer: Any) -> Sequence[str]:
    if not found.template:
        return PROBES
    from ...engines import chat_templates

    turns = [{"role": "user", "content": PROBES[0]}, {"role": "assistant", "content": "Rest."}]
    rendered = chat_templates.render(tokenizer, [*turns, turns[0]], found.template, True)
    return [*PROBES, rendered.removeprefix(own_start(tokenizer))]


def own_start(tokenizer: Any) -> str:
    """Return the token that the tokenizer puts before every text. A chat template may write it too."""
    start = tokenizer.bos_token_id
    return str(tokenizer.bos_token) if start is not None and tokenizer("a")["input_ids"][:1] == [start] else ""


class _Vocabulary:
    """The vocabulary of a GGUF file as llama.cpp reads it, without weights. A context manager."""

    def __init__(self, file: Path) -> None:
        from ...engines.llamacpp import model as llama_model

        self._llama = llama_model.library()
        settings = self._llama.llama_model_default_params()
        settings.vocab_only = True
        self._pointer = self._llama.llama_model_load_from_file(os.fsencode(file), settings)
        if not self._pointer:
            raise MedbenchError(
                f"llama.cpp {self._llama.__version__} cannot read the vocabulary of {file}.",
                "A newer llama-cpp-python may know it: pip install --upgrade llama-cpp-python",
            )
        self._vocabulary = self._llama.llama_model_get_vocab(self._pointer)
        self._words = llama_model.LlamaTokenizer(SimpleNamespace(llama=self._llama, vocabulary=self._vocabulary))  # type: ignore[arg-type]

    def __enter__(self) -> _Vocabulary:
        return self

    def __exit__(self, *_: object) -> None:
        self._llama.llama_model_free(self._pointer)

    def ends(self, token: int) -> bool:
        return bool(self._llama.llama_vocab_is_eog(self._vocabulary, token))

    def tokens(self, text: str) -> list[int]:
        return self._words([text], add_special_tokens=True)["input_ids"][0]
