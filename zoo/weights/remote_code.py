"""Python code that comes with a model: `auto_map` in its files makes transformers import it from the model's folder.

medbench runs such code only with --trust-remote-code, and never asks on the terminal. If transformers has classes for
the model's type, those are used, with or without the option.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core.errors import MedbenchError, UsageError
from ...core.json_text import loads

OPTION = "--trust-remote-code"
CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"
PARTS = ("AutoConfig", "AutoTokenizer", "AutoModelForCausalLM", "AutoModelForSeq2SeqLM")


class NeedsCode(MedbenchError):
    """A model cannot be loaded without running its own code, which is not allowed."""


def settle(folder: Path, trusted: bool, name: str, tell: Callable[[str], None]) -> bool:
    """Return whether loading the model runs code from its folder. Raises MedbenchError if it would and may not.

    Code that is there but not needed is reported, and so is an option without effect.
    """
    named = [(file, part, code) for file in (CONFIG, TOKENIZER) for part, code in _auto_map(folder / file).items()]
    needed = [(file, part, code) for file, part, code in named if _needs(folder, part)]
    if needed and not trusted:
        raise refusal(name, folder / needed[0][0], needed[0][2])
    if needed:
        tell(f"warning: {name} runs code from its own files, as {OPTION} allows: {_listed(needed)}")
    elif named:
        tell(
            f"{name} comes with its own Python code: {_listed(named)}. It is not run, because transformers has "
            "classes for this model."
        )
    elif trusted:
        tell(f"{name} has no code of its own; {OPTION} changes nothing for it")
    return bool(needed)


def refusal(name: str, file: Path, code: str = "") -> MedbenchError:
    """Return the error for a model that cannot be loaded without its own code, which `file` names."""
    return NeedsCode(
        f"{name} cannot be loaded without running Python code that comes with it, and medbench does not run that: "
        f"{file} names {code or 'it'} in `auto_map`.",
        f"Read that code first. If you trust it: {OPTION}, an option of medbench run, train and adapters merge.",
    )


def files(folder: Path) -> list[str]:
    """Return the names of the Python files in a model folder."""
    return sorted(path.name for path in folder.glob("*.py"))


def is_own(config: Any) -> bool:
    """Return whether the class of a loaded configuration came with the model."""
    return type(config).__module__.startswith("transformers_modules.")


def _listed(named: list[tuple[str, str, str]]) -> str:
    return ", ".join(dict.fromkeys(f"{code} ({file})" for file, _, code in named))


def _read(path: Path) -> dict[str, Any]:
    try:
        value = loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "Copy or download the model again.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} should be a JSON object.", "Copy or download the model again.")
    return value


def _auto_map(path: Path) -> dict[str, str]:
    """Return the classes that a file's `auto_map` names, by the part of the model that medbench loads."""
    named = _read(path).get("auto_map")
    if isinstance(named, str | list):  # an old form, for tokenizers
        named = {"AutoTokenizer": named}
    if not isinstance(named, dict):
        return {}
    found = {}
    for part in PARTS:
        value = named.get(part)
        classes = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        if classes:
            found[part] = " or ".join(classes)
    return found


def _needs(folder: Path, part: str) -> bool:
    """Return whether transformers has no class for this part of the model."""
    from transformers.models.auto import configuration_auto, modeling_auto, tokenization_auto

    kind = _read(folder / CONFIG).get("model_type")
    if part == "AutoConfig":
        return kind not in configuration_auto.CONFIG_MAPPING_NAMES
    if part != "AutoTokenizer":
        causal, encoder_decoder = (
            modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        )
        return kind not in causal and kind not in encoder_decoder
    if kind in tokenization_auto.TOKENIZER_MAPPING_NAMES:
        return False
    wanted = str(_read(folder / TOKENIZER).get("tokenizer_class") or "").removesuffix("Fast")
    known = tokenization_auto.tokenizer_class_from_name
    return not wanted or (known(wanted) is None and known(f"{wanted}Fast") is None)
