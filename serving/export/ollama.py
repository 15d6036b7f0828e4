"""A folder for `ollama create`: the Modelfile beside the GGUF file.

Ollama writes its prompts with a template in Go's language and does not run the chat template in the file. So the chat
template is tried on conversations, its parts are read off, and the Go template made of them is compared with it on
other conversations. Where they differ, the Modelfile says so, and Ollama chooses a template by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .traits import Traits

Turns = Sequence[tuple[str, str]]  # role and content
Render = Callable[[Turns], str]  # the conversation as the model reads it, up to where its answer begins

MOST_CONTEXT = 8192  # tokens; Ollama reserves memory for all of them
TRIED: tuple[Turns, ...] = (
    (("user", "one?"),),
    (("user", "one?"), ("assistant", "two."), ("user", "three?")),
    (("user", "a\nb"), ("assistant", "c"), ("user", "d"), ("assistant", "e"), ("user", "f?")),
)
TRIED_WITH_SYSTEM: tuple[Turns, ...] = tuple((("system", "Be brief."), *turns) for turns in TRIED)
_S, _U, _A, _V = "system-1f", "question-2e", "answer-3d", "question-4c"  # contents that occur in no template


@dataclass(frozen=True)
class Parts:
    """The text that a chat template puts around the turns."""

    opening: str  # at the beginning, if there is no system turn
    before_system: str | None  # None: the template does not accept a system turn
    after_system: str
    before_user: str
    before_answer: str
    after_answer: str

    def render(self, turns: Turns) -> str:
        """Return the text that the Go template would give in Ollama."""
        text = "" if turns[0][0] == "system" else self.opening
        for role, content in turns:
            if role == "system":
                text += f"{self.before_system or ''}{content}{self.after_system}"
            elif role == "user":
                text += f"{self.before_user}{content}{self.before_answer}"
            else:
                text += f"{content}{self.after_answer}"
        return text

    def go(self) -> str:
        """Return the template in Go's language. Every text is a quoted string, so that no whitespace is lost."""
        opening = f"{{{{ if not .System }}}}{_quoted(self.opening)}{{{{ end }}}}" if self.opening else ""
        system = ""
        if self.before_system is not None:
            inside = f"{_quoted(self.before_system)}{{{{ .Content }}}}{_quoted(self.after_system)}"
            system = f'{{{{ if eq .Role "system" }}}}{inside}{{{{ end }}}}'
        user = f"{_quoted(self.before_user)}{{{{ .Content }}}}{_quoted(self.before_answer)}"
        answer = f"{{{{ .Content }}}}{_quoted(self.after_answer)}"
        return (
            f"{opening}{{{{ range .Messages }}}}{system}"
            f'{{{{ if eq .Role "user" }}}}{user}{{{{ end }}}}'
            f'{{{{ if eq .Role "assistant" }}}}{answer}{{{{ end }}}}{{{{ end }}}}'
        )


def parts_of(render: Render) -> Parts | None:
    """Return the parts of a chat template; None if they do not reproduce it on every conversation tried."""
    try:
        first, second = render([("user", _U)]), render([("user", _U), ("assistant", _A), ("user", _V)])
    except Exception:  # a template may raise anything
        return None
    start, _, before_answer = first.partition(_U)
    between = second.partition(_A)[2].partition(_V)[0]
    before_user = _common_end(start, between)
    after_answer = between.removesuffix(before_user) if before_user else between
    opening = start.removesuffix(before_user) if before_user else start
    before_system, after_system = None, ""
    try:
        with_system = render([("system", _S), ("user", _U)])
    except Exception:  # Gemma's template does not accept a system turn
        with_system = ""
    if _S in with_system:
        before_system, _, rest = with_system.partition(_S)
        after_system = rest.partition(_U)[0].removesuffix(before_user)
    parts = Parts(opening, before_system, after_system, before_user, before_answer, after_answer)
    tried = [*TRIED, *(TRIED_WITH_SYSTEM if before_system is not None else ())]
    return parts if all(parts.render(turns) == render(turns) for turns in tried) else None


def modelfile(
    file: str, found: Traits, render: Render | None, window: int | None, prompt_format: str, system: str
) -> str:
    """Return the text of a Modelfile for the GGUF file called `file`. `render`: the chat template, if any."""
    lines = ["# Made by medbench export. To create the model: ollama create NAME -f Modelfile", f"FROM ./{file}", ""]
    parts = parts_of(render) if render else None
    if parts:
        lines += [f'TEMPLATE """{parts.go()}"""']
    elif render:
        lines += [
            "# The chat template of this model has no form in Go that medbench found to write the same, so there is no",
            "# TEMPLATE line: Ollama chooses one by the chat template in the GGUF file.",
            "# See which: ollama show NAME --template",
        ]
    else:
        before, _, after = (prompt_format or "{prompt}").partition("{prompt}")
        lines += [f'TEMPLATE """{_quoted(before)}{{{{ .Prompt }}}}{_quoted(after)}"""']
    if system:
        lines += [f"SYSTEM {_block(system)}"]
    lines += ["", "# As medbench measures: the likeliest token, always. Ollama's own repeat_penalty is 1.1."]
    lines += ["PARAMETER temperature 0", "PARAMETER repeat_penalty 1"]
    if window:
        lines += [f"PARAMETER num_ctx {min(window, MOST_CONTEXT)}"]
    lines += [f"PARAMETER stop {json.dumps(text, ensure_ascii=False)}" for text in found.end_texts]
    return "\n".join(lines) + "\n"


def takes_system(render: Render | None) -> bool:
    """Return whether the chat template accepts a system turn."""
    parts = parts_of(render) if render else None
    return parts is None or parts.before_system is not None


def _quoted(text: str) -> str:
    """Return an action that writes `text`. Go accepts JSON's escapes except surrogates."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


def _block(text: str) -> str:
    return f'"""{text}"""' if '"""' not in text else json.dumps(text, ensure_ascii=False)


def _common_end(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return one[len(one) - length :]
