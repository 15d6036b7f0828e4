"""A GGUF model in llama.cpp, through the C functions that llama-cpp-python exposes.

The library's own class `Llama` keeps one sequence and computes logits for all of a prompt or none. Evaluation needs a
prefix in the KV cache that many answers share, and logits only where they are read. All calls to the library are here.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import MedbenchError
from ...core.reasoning import is_mark

BATCH = 2048  # tokens per call
# The most tokens of a batch whose logits are read, each a row as long as the vocabulary. It must be at least the number
# of sequences, or llama.cpp ends the process.
READ = 256
TEXT_BYTES = 64  # of the first buffer for decoded text
ERROR = 4  # ggml's log level for errors
KEPT_LINES = 3

_log_errors: list[str] = []
_log_callback: Any = None  # must live as long as the library


def library() -> Any:
    """Return the module llama_cpp, with its log lines kept off the screen. Raise MedbenchError if it is missing."""
    global _log_callback
    try:
        import llama_cpp
    except ImportError as error:
        raise MedbenchError(
            f"running GGUF files as they are needs llama-cpp-python: {error}.",
            "Install it: pip install 'medbench[gguf]' (it is compiled, which takes minutes and a C++ compiler).",
        ) from error
    if _log_callback is None:

        def keep_errors(level: int, line: bytes, _: Any) -> None:
            if level == ERROR:
                _log_errors.append(line.decode("utf-8", "replace").strip())
                del _log_errors[:-KEPT_LINES]

        _log_callback = llama_cpp.llama_log_callback(keep_errors)
        llama_cpp.llama_log_set(_log_callback, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
    return llama_cpp


def threads() -> int:
    """Return OMP_NUM_THREADS, else the number of cores that this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Model:
    """The weights and vocabulary of a GGUF file."""

    def __init__(self, path: str, gpu: bool) -> None:
        """Raise MedbenchError if llama.cpp cannot load the file or the model has an encoder."""
        self.llama = library()
        params = self.llama.llama_model_default_params()
        params.n_gpu_layers = -1 if gpu else 0
        _log_errors.clear()
        self.pointer = self.llama.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise MedbenchError(
                f"llama.cpp {self.llama.__version__} cannot load {path}{_said()}",
                "A newer llama-cpp-python may support its architecture: pip install --upgrade llama-cpp-python",
            )
        if self.llama.llama_model_has_encoder(self.pointer):
            raise MedbenchError(
                f"{path} has an encoder, which this engine does not run.",
                f"To run it, converted to float32: --model {path}",
            )
        self.vocabulary = self.llama.llama_model_get_vocab(self.pointer)
        self.tokens = int(self.llama.llama_vocab_n_tokens(self.vocabulary))
        self.window = int(self.llama.llama_model_n_ctx_train(self.pointer))
        self.parameters = int(self.llama.llama_model_n_params(self.pointer))

    def __del__(self) -> None:
        if getattr(self, "pointer", None):
            self.llama.llama_model_free(self.pointer)
            self.pointer = None

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer: of a text, a turn, or a message."""
        return bool(self.llama.llama_vocab_is_eog(self.vocabulary, token))


class LlamaTokenizer:
    """A model's vocabulary with the part of the transformers tokenizer interface that prompting.py uses."""

    def __init__(self, model: Model) -> None:
        self._llama = model.llama
        self._vocabulary = model.vocabulary
        self._model = model  # owns the vocabulary
        self._marks: dict[int, bool] = {}
        self.bos_token_id = self._special(self._llama.llama_vocab_bos(self._vocabulary))
        self.eos_token_id = self._special(self._llama.llama_vocab_eos(self._vocabulary))

    def __call__(self, texts: Sequence[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [self._encode(text, add_special_tokens) for text in texts]}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Return the text of tokens. Special tokens that mark reasoning are never skipped."""
        if not skip_special_tokens:
            return self._text(tokens, False)
        return "".join(self._text(list(part), not mark) for mark, part in itertools.groupby(tokens, self._is_mark))

    def _is_mark(self, token: int) -> bool:
        if token not in self._marks:
            self._marks[token] = is_mark(self._name(token))
        return self._marks[token]

    def _text(self, tokens: Sequence[int], skip_special_tokens: bool) -> str:
        given = (self._llama.llama_token * len(tokens))(*tokens)
        size = TEXT_BYTES + 8 * len(tokens)
        while True:
            room = ctypes.create_string_buffer(size)
            used = self._llama.llama_detokenize(
                self._vocabulary, given, len(tokens), room, size, skip_special_tokens, not skip_special_tokens
            )
            if used >= 0:
                return bytes(room.raw[:used]).decode("utf-8", "replace")
            size = -used

    def apply_chat_template(
        self,
        messages: list[dict[str, str]],
        chat_template: str,
        add_generation_prompt: bool,
        tokenize: bool,
        **variables: Any,
    ) -> str:
        from transformers.utils.chat_template_utils import render_jinja_template

        names = {"bos_token": self.bos_token_id, "eos_token": self.eos_token_id}
        rendered, _ = render_jinja_template(
            [messages],
            chat_template=chat_template,
            add_generation_prompt=add_generation_prompt,
            **{name: "" if token is None else self._name(token) for name, token in names.items()},
            **variables,
        )
        return str(rendered[0])

    def _encode(self, text: str, special: bool) -> list[int]:
        content = text.encode("utf-8", "replace")
        size = len(content) + 2  # no token is shorter than a byte; first and last may be added
        room = (self._llama.llama_token * size)()
        # As in transformers, the name of a special token in a text becomes that token.
        count = self._llama.llama_tokenize(self._vocabulary, content, len(content), room, size, special, True)
        if count < 0:
            raise MedbenchError(f"llama.cpp cannot tokenize the text that begins with {text[:40]!r}.")
        return list(room[:count])

    def _special(self, token: int) -> int | None:
        return None if token < 0 else int(token)

    def _name(self, token: int) -> str:
        return bytes(self._llama.llama_vocab_get_text(self._vocabulary, token) or b"").decode("utf-8", "replace")


@dataclass(frozen=True)
class TokenBatch:
    """Tokens to compute for one sequence of a context. `reads` is how many of the last ones need logits."""

    sequence: int
    start: int  # position of the first one
    tokens: Sequence[int]
    reads: int = 1


class Context:
    """The KV cache for several sequences, which can share its cells. Use it in a `with` block."""

    def __init__(self, model: Model, cells: int, sequences: int) -> None:
        """Raise MedbenchError if there is not enough memory."""
        assert sequences <= READ
        llama = model.llama
        params = llama.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = BATCH
        params.n_outputs_max = params.n_outputs_max_per_seq = READ
        params.n_seq_max = sequences
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads()
        self.model = model
        self._llama = llama
        _log_errors.clear()
        self._pointer = llama.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise MedbenchError(
                f"llama.cpp has no memory for {cells:,} tokens at once{_said()}",
                "Try a smaller --max-new-tokens or a smaller model.",
            )
        self._memory = llama.llama_get_memory(self._pointer)
        self._batch = llama.llama_batch_init(BATCH, 0, 1)

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._pointer)

    def run(self, parts: Sequence[TokenBatch]) -> list[list[NDArray[np.float32]]]:
        """Compute the parts together. Return, for each, the logits (vocabulary,) after its last `reads` tokens."""
        found: list[list[NDArray[np.float32]]] = [[] for _ in parts]
        readers: list[int] = []  # for each token of the batch, the part that reads its logits, or -1
        batch, reads = self._batch, 0

        def compute() -> None:
            batch.n_tokens = len(readers)
            if self._llama.llama_decode(self._pointer, batch):
                raise MedbenchError(f"llama.cpp could not compute {len(readers)} tokens{_said()}")
            for slot, reader in enumerate(readers):
                if reader >= 0:
                    pointer = self._llama.llama_get_logits_ith(self._pointer, slot)
                    found[reader].append(np.ctypeslib.as_array(pointer, (self.model.tokens,)).copy())
            readers.clear()

        for index, part in enumerate(parts):
            for offset, token in enumerate(part.tokens):
                slot, read = len(readers), offset >= len(part.tokens) - part.reads
                batch.token[slot] = token
                batch.pos[slot] = part.start + offset
                batch.n_seq_id[slot] = 1
                batch.seq_id[slot][0] = part.sequence
                batch.logits[slot] = read
                readers.append(index if read else -1)
                reads += read
                if len(readers) == BATCH or reads == READ:
                    compute()
                    reads = 0
        if readers:
            compute()
        return found

    def keep(self, sequence: int, length: int) -> int:
        """Remove a sequence from position `length` on. Return how many tokens are kept.

        That is `length`, or 0 if the model's state cannot be cut (state-space models).
        """
        if self._llama.llama_memory_seq_rm(self._memory, sequence, length, -1):
            return length
        self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return 0

    def copy(self, source: int, target: int) -> None:
        """Make `target` begin with all of `source`. They share its cells."""
        self._llama.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)


def _said() -> str:
    return f": {_log_errors[-1]}" if _log_errors else "."
