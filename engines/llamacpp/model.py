"""A GGUF model in llama.cpp, through the C functions that llama-cpp-python gives names to.

Its own class `Llama` keeps one sequence and computes logits for all of a prompt or none; evaluation wants a prefix kept
in the key/value cache under many ends, and logits only where they are read. What is used of the library is here.
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

BATCH = 2048  # tokens that one call takes
# Of them, the most whose logits are read: each is a row as long as the vocabulary. No fewer than there are sequences,
# or llama.cpp ends the process.
READ = 256
PIECE = 64  # bytes of text that a token is at first given room for
ERROR = 4  # of ggml's levels of log lines
KEPT_LINES = 3

_complaints: list[str] = []
_hear: Any = None  # the callback: it must live as long as the library


def library() -> Any:
    """The module llama_cpp, told to keep its log lines off the screen. Raises MedbenchError where it is missing."""
    global _hear
    try:
        import llama_cpp
    except ImportError as error:
        raise MedbenchError(
            f"GGUF files run as they are by llama.cpp, through llama-cpp-python: {error}.",
            "Install it: pip install 'medbench[gguf]' (it is compiled, which takes minutes and a C++ compiler).",
        ) from error
    if _hear is None:

        def hear(level: int, line: bytes, _: Any) -> None:
            if level == ERROR:
                _complaints.append(line.decode("utf-8", "replace").strip())
                del _complaints[:-KEPT_LINES]

        _hear = llama_cpp.llama_log_callback(hear)
        llama_cpp.llama_log_set(_hear, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
    return llama_cpp


def threads() -> int:
    """As OMP_NUM_THREADS says, else one per core that this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Model:
    """The weights and vocabulary of a GGUF file."""

    def __init__(self, path: str, gpu: bool) -> None:
        """Raises MedbenchError where llama.cpp cannot load the file, or it holds an encoder."""
        self.llama = library()
        params = self.llama.llama_model_default_params()
        params.n_gpu_layers = -1 if gpu else 0
        _complaints.clear()
        self.pointer = self.llama.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise MedbenchError(
                f"llama.cpp {self.llama.__version__} cannot load {path}{_said()}",
                "A newer llama-cpp-python may know its architecture: pip install --upgrade llama-cpp-python",
            )
        if self.llama.llama_model_has_encoder(self.pointer):
            raise MedbenchError(
                f"{path} has an encoder, which this engine does not run.", f"As float32 it runs: --model {path}"
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


class Words:
    """A model's vocabulary as a tokenizer of transformers, as far as prompting.py uses one."""

    def __init__(self, model: Model) -> None:
        self._llama = model.llama
        self._vocabulary = model.vocabulary
        self._model = model  # which the vocabulary belongs to
        self._marks: dict[int, bool] = {}
        self.bos_token_id = self._special(self._llama.llama_vocab_bos(self._vocabulary))
        self.eos_token_id = self._special(self._llama.llama_vocab_eos(self._vocabulary))

    def __call__(self, texts: Sequence[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [self._encode(text, add_special_tokens) for text in texts]}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of tokens; special ones that mark reasoning are never skipped."""
        if not skip_special_tokens:
            return self._text(tokens, False)
        return "".join(self._text(list(part), not mark) for mark, part in itertools.groupby(tokens, self._is_mark))

    def _is_mark(self, token: int) -> bool:
        if token not in self._marks:
            self._marks[token] = is_mark(self._name(token))
        return self._marks[token]

    def _text(self, tokens: Sequence[int], skip_special_tokens: bool) -> str:
        given = (self._llama.llama_token * len(tokens))(*tokens)
        size = PIECE + 8 * len(tokens)
        while True:
            room = ctypes.create_string_buffer(size)
            used = self._llama.llama_detokenize(
                self._vocabulary, given, len(tokens), room, size, skip_special_tokens, not skip_special_tokens
            )
            if used >= 0:
                return bytes(room.raw[:used]).decode("utf-8", "replace")
            size = -used

    def apply_chat_template(
        self, messages: list[dict[str, str]], chat_template: str, add_generation_prompt: bool, tokenize: bool
    ) -> str:
        from transformers.utils.chat_template_utils import render_jinja_template

        names = {"bos_token": self.bos_token_id, "eos_token": self.eos_token_id}
        rendered, _ = render_jinja_template(
            [messages],
            chat_template=chat_template,
            add_generation_prompt=add_generation_prompt,
            **{name: "" if token is None else self._name(token) for name, token in names.items()},
        )
        return str(rendered[0])

    def _encode(self, text: str, special: bool) -> list[int]:
        content = text.encode("utf-8", "replace")
        size = len(content) + 2  # no token is shorter than a byte; first and last may be added
        room = (self._llama.llama_token * size)()
        # A special token's name in a text is that token, as it is for transformers.
        count = self._llama.llama_tokenize(self._vocabulary, content, len(content), room, size, special, True)
        if count < 0:
            raise MedbenchError(f"llama.cpp cannot tokenise the text that begins with {text[:40]!r}.")
        return list(room[:count])

    def _special(self, token: int) -> int | None:
        return None if token < 0 else int(token)

    def _name(self, token: int) -> str:
        return bytes(self._llama.llama_vocab_get_text(self._vocabulary, token) or b"").decode("utf-8", "replace")


@dataclass(frozen=True)
class Part:
    """Tokens to compute for one sequence of a context. `reads`: how many of the last ones are read."""

    sequence: int
    start: int  # position of the first one
    tokens: Sequence[int]
    reads: int = 1


class Context:
    """Room for sequences in the key/value cache; used in a `with` block. Cells are shared between sequences."""

    def __init__(self, model: Model, cells: int, sequences: int) -> None:
        """Raises MedbenchError where memory does not suffice."""
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
        _complaints.clear()
        self._pointer = llama.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise MedbenchError(
                f"llama.cpp has no memory for {cells:,} tokens at once{_said()}",
                "Give --max-new-tokens N, or a smaller model.",
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

    def run(self, parts: Sequence[Part]) -> list[list[NDArray[np.float32]]]:
        """Compute the parts together; for each, the logits (vocabulary) after each of its last `reads` tokens."""
        found: list[list[NDArray[np.float32]]] = [[] for _ in parts]
        readers: list[int] = []  # of each slot of the batch, the part that reads it, or -1
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
        """Forget a sequence from position `length` on. How much is kept: all of that, or nothing where the model's
        memory cannot be cut (state-space models)."""
        if self._llama.llama_memory_seq_rm(self._memory, sequence, length, -1):
            return length
        self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)
        return 0

    def copy(self, source: int, target: int) -> None:
        """`target` begins with all of `source`; they share its cells."""
        self._llama.llama_memory_seq_cp(self._memory, source, target, -1, -1)

    def drop(self, sequence: int) -> None:
        self._llama.llama_memory_seq_rm(self._memory, sequence, -1, -1)


def _said() -> str:
    return f": {_complaints[-1]}" if _complaints else "."
