"""A program, run in a separate process: llama.cpp's converter from a model folder to GGUF.

The converter ships a `gguf` package of its own, which must not replace the one that medbench imports. So nothing of
medbench imports this file, and it imports nothing of medbench. It reads one JSON object from standard input and prints
one as its last line.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    asked = json.load(sys.stdin)
    sys.path.insert(0, asked["converter"])
    logging.basicConfig(level=logging.WARNING)  # to stderr
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # type: ignore[import-not-found]
    from conversion.base import TextModel  # type: ignore[import-not-found]

    if not Path(gguf.__file__).is_relative_to(asked["converter"]):
        raise ImportError(f"the converter's own gguf was not imported, but {gguf.__file__}")
    said: dict[str, Any] = {"pre_tokenizer": "", "recognized": True}
    recognize = TextModel.get_vocab_base_pre

    def pre_tokenizer(model: Any, tokenizer: Any) -> str:
        """Return the name of the pre-tokenizer: the converter's, or the one that medbench read from tokenizer.json."""
        try:
            said["pre_tokenizer"] = recognize(model, tokenizer)
        except NotImplementedError:
            if not asked["pre_tokenizer"]:
                raise
            said["pre_tokenizer"], said["recognized"] = asked["pre_tokenizer"], False
        return str(said["pre_tokenizer"])

    TextModel.get_vocab_base_pre = pre_tokenizer
    folder = Path(asked["model"])
    with torch.inference_mode():
        hparams = ModelBase.load_hparams(folder, False)
        kind = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        types = {
            "f32": gguf.LlamaFileType.ALL_F32,
            "f16": gguf.LlamaFileType.MOSTLY_F16,
            "bf16": gguf.LlamaFileType.MOSTLY_BF16,
            "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
        }
        model = kind(folder, types[asked["type"]], Path(asked["out"]), model_name=asked["name"])
        write_vocabulary = model.set_vocab

        def set_vocab() -> None:
            """Write the vocabulary, and the token that ends a turn if it is not the one that ends a text."""
            write_vocabulary()
            if asked["end_of_turn"] is not None:
                model.gguf_writer.add_eot_token_id(asked["end_of_turn"])

        model.set_vocab = set_vocab
        if asked["vocabulary_only"]:
            model.write_vocab()
        else:
            model.write()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
