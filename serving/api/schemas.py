"""The bodies of requests. Unsupported fields that would change an answer are rejected, never ignored."""

from __future__ import annotations

import string
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ...core.text import whole
from ...core.types import Turn
from .errors import Refusal

STOPS = 16  # most stop strings per request
CHOICES = 64  # most answers per request
TOP = 100  # most alternatives listed per token
LETTERS = string.ascii_uppercase
# Fields of OpenAI's API that this server does not support, each with the values that mean "off".
OFF: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "best_of": (1,),
    "suffix": ("",),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "reasoning_effort": (),
    "top_k": (0, -1),
    "min_p": (0,),
}
# Fields that do not change answers.
IDLE = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")

Text = Annotated[str, StringConstraints(min_length=1)]


class _Sampled(BaseModel):
    """Fields that all requests for text share. Decoding is greedy unless a temperature is given, as in evaluations."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, description="The served model's name; the only one there is if left out.")
    stop: str | list[str] | None = Field(None, description="Up to 16 strings; the text ends before the first.")
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False, description="Default 0: greedy.")
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    n: int | None = Field(None, ge=1, le=CHOICES)
    min_tokens: int | None = Field(None, ge=0, description="The text has at least this many tokens.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def settings(self) -> dict[str, Any]:
        """Return the shared fields of a TextRequest. Raises Refusal."""
        for name, value in (self.model_extra or {}).items():
            if name in IDLE or value is None:
                continue
            if name not in OFF:
                raise Refusal(400, f"unrecognized field: {name}", name, "unknown_field")
            if value not in OFF[name]:
                raise Refusal(400, f"{name} is not supported by this server.", name, "unsupported_field")
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stops) > STOPS:
            raise Refusal(400, f"stop: at most {STOPS} strings.", "stop", "invalid_value")
        return {
            "stop": tuple(whole(one) for one in stops if one),
            "temperature": self.temperature or 0.0,
            "top_p": 1.0 if self.top_p is None else self.top_p,
            "min_new_tokens": self.min_tokens or 0,
            "stream": bool(self.stream),
        }

    @property
    def with_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")

    include_usage: bool | None = None


class ContentPart(BaseModel):
    """A part of a message. Only text is supported."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart]

    def turn(self) -> Turn:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Turn("system" if self.role == "developer" else self.role, whole(text))


class ChatRequest(_Sampled):
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, description="New tokens.")
    max_completion_tokens: int | None = Field(None, ge=1, description="The newer name of max_tokens.")
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=TOP)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "messages": [{"role": "user", "content": "What are the symptoms of anemia?"}],
                    "max_tokens": 128,
                }
            ]
        }
    )


class CompletionRequest(_Sampled):
    prompt: str | list[str] | list[int] | list[list[int]] = Field(description="Text or tokens, one or several.")
    max_tokens: int | None = Field(None, ge=0, description="New tokens. Default 16.")
    logprobs: int | None = Field(
        None, ge=0, le=TOP, description="How many of the most likely tokens to list at each position."
    )
    echo: bool | None = Field(None, description="Put the prompt before the text, with log-probabilities if requested.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "Question: Is aspirin an NSAID?\nA. yes\nB. no\nAnswer:", "max_tokens": 1, "logprobs": 5}
            ]
        }
    )

    def prompts(self) -> list[str | tuple[int, ...]]:
        """Return the prompts. Raises Refusal for an empty list."""
        given = self.prompt
        if isinstance(given, str):
            return [whole(given)]
        if given and all(isinstance(one, int) for one in given):
            return [tuple(one for one in given if isinstance(one, int))]
        if not given:
            raise Refusal(400, "prompt is an empty list.", "prompt", "invalid_value")
        return [whole(one) if isinstance(one, str) else tuple(one) for one in given if not isinstance(one, int)]


class AskRequest(BaseModel):
    """A case. With options the model chooses one; without them it answers in its own words."""

    question: Text = Field(description="The question, or a whole case that ends in one.")
    context: str = Field("", description="Text before the question: history, findings, an abstract.")
    options: dict[str, Text] | list[Text] | None = Field(
        None, description='2 to 26 options: {"a": …, "b": …} in order, or a list.'
    )
    max_tokens: int | None = Field(None, ge=1, description="Limit of new tokens. Default 256.")
    analyze: bool = Field(True, description="false: only choose an option, in a fraction of the time.")

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "context": "A 54-year-old man has had crushing chest pain for 40 minutes.",
                    "question": "Which test comes first?",
                    "options": {
                        "a": "Electrocardiogram",
                        "b": "Chest CT",
                        "c": "Colonoscopy",
                        "d": "Spirometry",
                    },
                },
                {"question": "What are the symptoms of anemia?", "max_tokens": 128},
            ]
        },
    )

    @model_validator(mode="after")
    def _lettered(self) -> AskRequest:
        if self.options is None:
            return self
        if not 2 <= len(self.options) <= len(LETTERS):
            raise ValueError(f"options: 2 to {len(LETTERS)} of them, not {len(self.options)}")
        names = [*self.options] if isinstance(self.options, dict) else []
        if names and "".join(names).upper() != LETTERS[: len(names)]:
            raise ValueError(f"options must be lettered in order from a or A, not {', '.join(names)[:60]}")
        return self

    @property
    def names(self) -> list[str]:
        """Return the letters of the options as the client wrote them."""
        return [*self.options] if isinstance(self.options, dict) else [*LETTERS[: len(self.options or ())]]

    @property
    def texts(self) -> list[str]:
        return [*(self.options.values() if isinstance(self.options, dict) else self.options or ())]


class Safety(BaseModel):
    """Labels that the trained safety model gives the answer."""

    labels: dict[str, bool]
    probabilities: dict[str, float]


class TokenUsage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AskResponse(BaseModel):
    analysis: str | None = Field(
        description="The model's own text: its analysis of a case, or its answer to an open question."
    )
    option: str | None = Field(description="The likeliest option.")
    option_text: str | None
    probabilities: dict[str, float] | None = Field(description="Of each option; they add up to 1.")
    logprobs: dict[str, float] | None = Field(
        description="Log-probability (nats) of each option's letter after the prompt."
    )
    analysis_option: str | None = Field(description="The option that the analysis names, if any.")
    finish: Literal["stop", "length"] | None = Field(description="length: the analysis was cut at max_tokens.")
    safety: Safety | None
    disclaimer: str
    model: str
    revision: str
    usage: TokenUsage
