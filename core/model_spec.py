"""What an engine loads, and the request of the user that it was resolved from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that decides how a model answers. All of it except `leaked` is part of a run's identity."""

    name: str  # as shown: NAME, or NAME+FOLDER with an adapter
    location: str  # folder on disk, hub id, or whatever the engine takes
    revision: str  # commit of a hub model, content hash of a local one
    engine: str = "transformers"
    adapter: str = ""  # folder of a LoRA adapter
    adapter_hash: str = ""
    dtype: str = "auto"  # "float32", "bfloat16", "float16"; "auto": float32 on a CPU, bfloat16 on a GPU
    quantize: Literal["", "nf4", "int8"] = ""
    device: str = "auto"
    chat: Literal["auto", "always", "never"] = "auto"
    think: Literal["auto", "on", "off"] = "auto"  # whether it reasons before it answers; "auto": the template's default
    reasoning_effort: str = (
        ""  # how much it reasons: "low", "medium", "high", …; "": the template's or server's default
    )
    prompt_format: str = ""  # e.g. "Medical question: {prompt}"; used in place of a chat template
    generation: Mapping[str, Any] = field(default_factory=dict)  # beams, n-gram blocking, …; greedy if empty
    source: str = ""  # where the weights came from, in words
    base_url: str = ""  # address of the server that runs it, if the engine uses one
    trust_remote_code: bool = False  # loading it runs Python code from its own files, with the user's permission
    # What --engine-option gave, by name. Part of the identity if the option says that it changes answers.
    options: Mapping[str, Any] = field(default_factory=dict)
    # For each benchmark that was checked: ids of its items that are in the model's training data (benchmarks/leaks.py).
    # None for a model that medbench did not train. Not part of the identity, because the hash of the weights is.
    leaked: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class EngineOption:
    """A setting that one engine takes: `--engine-option NAME=VALUE`."""

    name: str
    kind: type[str] | type[int] | type[float] | type[bool]
    help: str  # one line
    default: Any = None
    least: float | None = None  # the smallest number allowed
    flag: str = ""  # another spelling on the command line, such as "--map"
    # Whether answers depend on it, which makes it part of a run's identity. Also False if the revision covers it.
    changes_answers: bool = True

    @property
    def spelling(self) -> str:
        """The option as typed on the command line, up to its value."""
        return f"{self.flag} " if self.flag else f"--engine-option {self.name}="

    def parsed(self, value: Any) -> Any:
        """Convert a value to the option's type. Raises UsageError if it has the wrong type or is too small."""
        words = {str: "a text", int: "a whole number", float: "a number", bool: "on or off"}[self.kind]
        wrong = UsageError(f"{self.spelling}{value}: it must be {words}.", f"{self.name}: {self.help}")
        if isinstance(value, str) and self.kind is bool:
            known = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False}
            if value.lower() not in {*known, "0"}:
                raise wrong
            return known.get(value.lower(), False)
        if isinstance(value, bool) is not (self.kind is bool) or (self.kind is str and not isinstance(value, str)):
            raise wrong
        try:
            found = self.kind(value)
        except (ValueError, TypeError, OverflowError):
            raise wrong from None
        if isinstance(value, float) and found != value:
            raise wrong
        if self.least is not None and not float(found) >= self.least:
            raise UsageError(f"{self.spelling}{value}: it must be at least {self.least:g}.")
        return found


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a user asked of a model, without its name. `Engine.resolve` makes a `ModelSpec` of both."""

    engine: str  # as the user named it; `spec.engine`
    prefixed: bool  # ENGINE:NAME, where NAME may be anything that the engine understands
    # Returns the spec of a model that medbench can find, with its weights on this disk: a zoo entry, hub id, folder,
    # .gguf file or trained adapter. Raises UsageError or ModelMissing.
    find: Callable[[str], ModelSpec]
    is_model: Callable[[str], bool]  # whether a name is a zoo entry, a model's folder or a trained adapter
    content: Callable[[str], tuple[str, str]]  # full path and content hash of a file or folder; the name and "" if none
    revision: str = ""
    adapter: str = ""
    dtype: str = "auto"
    quantize: Literal["", "nf4", "int8"] = ""
    device: str = "auto"
    chat: Literal["auto", "always", "never"] = "auto"
    base_url: str = ""
    trust_remote_code: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # those of the engine that were given
    tell: Callable[[str], None] = lambda line: None  # gets one line for each slow step and each warning

    def reject(self, why: str, *options: str) -> None:
        """Raise UsageError for the first of these options that was given; by default all that describe weights."""
        given = {
            "revision": self.revision,
            "adapter": self.adapter,
            "quantize": self.quantize,
            "trust-remote-code": "on" * self.trust_remote_code,
            "dtype": self.dtype.removeprefix("auto"),
            "device": self.device.removeprefix("auto"),
            "chat": self.chat.removeprefix("auto"),
        }
        for option in options or ("revision", "adapter", "quantize", "trust-remote-code", "dtype"):
            if given[option]:
                raise UsageError(f"--{option} {given[option]}: {why}", "Leave it out.")

    def named(self, name: str) -> ModelSpec:
        """Return the spec of a model that only the engine knows. A file's or folder's content is its revision."""
        self.reject(f"{self.engine} loads {name} by itself.", "adapter")
        location, content = self.content(name)
        return ModelSpec(
            f"{self.engine}:{name}",
            location,
            self.revision or content,
            self.engine,
            dtype=self.dtype,
            quantize=self.quantize,
            device=self.device,
            chat=self.chat,
            source=f"as {self.engine} finds it",
            base_url=self.base_url,
            trust_remote_code=self.trust_remote_code,
            options=self.options,
        )
