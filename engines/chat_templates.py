"""Chat templates: programs that come with a model. They are tried in a separate process before they are used.

Jinja's sandbox keeps a template away from Python and limits a loop to 100,000 iterations. It does not stop nested loops
from running for years or a text from filling the memory. A template that raises an error gives its own reason.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core import paths
from ..core.errors import MedbenchError
from ..core.json_text import loads

CPU_SECONDS = 10  # for one question, which takes an ordinary template milliseconds
ITEM_SECONDS = 5.0  # of CPU time for one item of a run
MEMORY = 1 << 30  # bytes, beyond what Python and transformers take
LONGEST = 1 << 20  # characters that a template may write for one short question
REPEATS = 10  # times that a template may repeat an item's text, beyond LONGEST
WALL_SECONDS = 120.0  # in all, including the import of transformers
SAID = 300  # characters of a template's own message
HINT = "Without the template: --chat never"
TURNS = ({"role": "user", "content": "Question: Does rest help with a cold?\nAnswer:"},)
SYSTEM_TEXT = "You are a careful physician."

_TRY = """
import json, sys
given = json.loads(sys.stdin.buffer.readline())
sys.path[:] = given["path"]
from transformers.utils.chat_template_utils import render_jinja_template
try:
    import resource
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + given["seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (used, used + 1))
    with open("/proc/self/statm") as pages:
        room = int(pages.read().split()[0]) * resource.getpagesize() + given["memory"]
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
except (ImportError, OSError, ValueError):
    pass  # the wall-clock limit remains
print("begun", flush=True)
try:
    texts, _ = render_jinja_template(
        [given["turns"]], chat_template=given["template"], add_generation_prompt=True, bos_token="<s>", eos_token="</s>"
    )
    found = {"length": len(texts[0]), "has": given["text"] in texts[0]}
except MemoryError:
    found = {"memory": True}
except BaseException as error:
    found = {"kind": type(error).__name__, "said": str(error)[:2000]}
print(json.dumps(found))
"""


class TemplateFailed(MedbenchError):
    """A chat template rejects one item's text. It may accept others."""


def of_folder(location: str, adapter: str = "") -> str:
    """Return the chat template of the tokenizer in a folder, "" without one. This does not load the tokenizer.

    If the `adapter` (a folder) was saved with a template, that one is returned. Of several templates, the one named
    "default" is used, as in transformers; if there is none, the result is a template that raises an error.
    """
    if adapter and (own := of_folder(adapter)):
        return own
    folder = Path(location)
    try:
        if (folder / "chat_template.jinja").is_file():
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise MedbenchError(
            f"{folder / 'chat_template.jinja'} cannot be read: {error}.", "Copy the model again."
        ) from None
    try:
        settings = loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    template = settings.get("chat_template") if isinstance(settings, Mapping) else None
    if isinstance(template, list):
        named = {
            each["name"]: each.get("template") for each in template if isinstance(each, Mapping) and "name" in each
        }
        template = named.get("default")
        if template is None and named:
            names = ", ".join(map(str, named)).replace("'", "")
            return "{{ raise_exception('there are several, and none is called default: " + names + "') }}"
    return template if isinstance(template, str) else ""


@functools.lru_cache(maxsize=64)
def check(template: str, model: str) -> None:
    """Raise MedbenchError if a template raises, does not end, or fills the memory on one short question.

    The result is kept in the cache folder, so a template is tried only once.
    """
    key = hashlib.sha256(json.dumps([template, CPU_SECONDS, MEMORY, LONGEST]).encode()).hexdigest()[:32]
    note = paths.cache() / "chat-templates" / key
    try:
        problem = str(json.loads(note.read_bytes()))  # a file that a power cut emptied does not mean "no problem"
    except (OSError, ValueError):
        problem = _problem(template)
        _keep(note, problem)
    if problem:
        raise MedbenchError(f"the chat template of {model} cannot be used: {problem}", HINT)


@functools.lru_cache(maxsize=64)
def has_system_turn(template: str) -> bool:
    """Return whether a template writes a system turn, rather than raise an error or leave it out.

    The result is kept in the cache folder, as that of `check`.
    """
    turns = ({"role": "system", "content": SYSTEM_TEXT}, *TURNS)
    key = hashlib.sha256(json.dumps([template, turns]).encode()).hexdigest()[:32]
    note = paths.cache() / "chat-templates" / f"system-{key}"
    try:
        return json.loads(note.read_bytes()) is True
    except (OSError, ValueError):
        found = _tried(template, turns)
        held = found.get("has", not found) is True  # if it could not be tried, rendering reports what is wrong
        if found:
            _keep(note, held)
        return held


def tried(template: str, variables: Mapping[str, Any]) -> str:
    """Return one short question as a template writes it with these variables; "" if it does not."""
    from transformers.utils.chat_template_utils import render_jinja_template

    turns = [{"role": "system", "content": "Be brief."}, *TURNS]
    for conversation in (turns, list(TURNS)):  # some templates refuse a system turn
        with contextlib.suppress(Exception, _Endless), _limited(ITEM_SECONDS):
            texts, _ = render_jinja_template(
                [conversation],
                chat_template=template,
                add_generation_prompt=True,
                bos_token="<s>",
                eos_token="</s>",
                **variables,
            )
            return str(texts[0])
    return ""


def render(
    tokenizer: Any,
    turns: Sequence[Mapping[str, str]],
    template: str,
    generation: bool,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """Return the turns as the template writes them. Raise TemplateFailed if it raises, does not end, or is too long.

    `variables`: further names that the template may read, such as a switch for reasoning.
    """
    failed = "the model's chat template cannot be used"
    try:
        with _limited(ITEM_SECONDS):
            text = str(
                tokenizer.apply_chat_template(
                    list(turns),
                    chat_template=template,
                    add_generation_prompt=generation,
                    tokenize=False,
                    **(variables or {}),
                )
            )
    except _Endless:
        raise TemplateFailed(f"{failed}: it ran for more than {ITEM_SECONDS:g} seconds.", HINT) from None
    except Exception as error:  # a template may raise anything
        raise TemplateFailed(f"{failed}: {_words(error)}", HINT) from error
    given = sum(len(turn["content"]) for turn in turns)
    if len(text) > LONGEST + REPEATS * given:
        raise TemplateFailed(f"{failed}: it makes {len(text):,} characters of {given:,}.", HINT)
    return text


class _Endless(BaseException):
    """A template exceeded its time. This is not an Exception, so that no handler on the way catches it."""


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise _Endless after this much CPU time. It works only in the main thread and not on Windows (signals)."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise _Endless

    before = signal.signal(signal.SIGVTALRM, end)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _keep(note: Path, value: str | bool) -> None:
    with contextlib.suppress(OSError):  # without a cache the template is tried again
        note.parent.mkdir(parents=True, exist_ok=True)
        draft = note.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(value), encoding="utf-8")
        draft.replace(note)


def _problem(template: str) -> str:
    """Return what is wrong with a template, as a sentence; "" if nothing is, or if it could not be tried."""
    found = _tried(template, TURNS)
    if "endless" in found:
        return f"it does not end: it ran for more than {CPU_SECONDS} seconds on one short question."
    if "ended" in found:
        return "it ends the process that it is used in."
    if "memory" in found:
        return f"it takes more than {MEMORY >> 30} GiB of memory for one short question."
    if found.get("length", 0) > LONGEST:
        return f"it makes {found['length']:,} characters of one short question."
    return _sentence(found["kind"], found["said"]) if "kind" in found else ""


def _tried(template: str, turns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Render turns in a process of its own. Return the results, by name; nothing if it could not be tried."""
    limits = {"seconds": CPU_SECONDS, "memory": MEMORY}
    given = {"path": sys.path, "template": template, "turns": turns, "text": SYSTEM_TEXT, **limits}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _TRY],
            input=json.dumps(given).encode() + b"\n",
            capture_output=True,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return {"endless": True} if (error.stdout or b"").startswith(b"begun") else {}
    except OSError:
        return {}
    begun, _, last = done.stdout.decode("utf-8", "replace").strip().partition("\n")
    if begun != "begun":
        return {}  # transformers does not load there; loading it here reports why
    if not last:
        return {"endless": True} if done.returncode < 0 else {"ended": True}
    found: dict[str, Any] = loads(last)
    return found


def _words(error: Exception) -> str:
    return _sentence(type(error).__name__, str(error))


def _sentence(kind: str, said: str) -> str:
    """Return a template's exception as a sentence, with its type unless that adds nothing."""
    said = " ".join(said.split())[:SAID] or "it raises without a word"
    if kind == "SecurityError":
        return f"it reaches for what jinja's sandbox forbids: {said.rstrip('.')}."
    told = said if kind in ("TemplateError", "UndefinedError", "TemplateSyntaxError") else f"{kind}: {said}"
    return f"it says: {told}" + "." * (told[-1:] not in ".!?")
