"""Tab completion in bash, zsh and fish, where click's own classes fall short."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

BREAKS = (":", "=")  # bash makes each a word of its own: "gguf", ":", "file"
FILE = "file"


class _WholeWord(ShellComplete):
    """Offers whole words: also behind `--option=`, and files behind `ENGINE:` or a comma, which no shell completes."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        option = re.match(r"--[\w-]+=|", incomplete)
        head = re.match(r".*[:=,]|", incomplete)
        assert option is not None and head is not None
        found: list[CompletionItem[str]] = []
        for item in super().get_completions(args, incomplete):
            if item.type == FILE and head[0]:
                found += [CompletionItem(head[0] + name) for name in _files(incomplete[head.end() :])]
            else:
                found.append(CompletionItem(option[0] + item.value, item.type, item.help))
        return found


class Bash(_WholeWord, BashComplete):
    """Joins what bash splits at colons and equals signs. Bash replaces only what follows the last of them."""

    _kept = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, last = super().get_completion_args()
        joined: list[str] = []
        glued = False
        for word in (*words, last):
            if joined and (glued or word in BREAKS):
                joined[-1] += word
            else:
                joined.append(word)
            glued = word in BREAKS
        self._kept = joined[-1][: max(map(joined[-1].rfind, BREAKS)) + 1]
        return joined[:-1], joined[-1]

    def format_completion(self, item: CompletionItem[str]) -> str:
        return f"{item.type},{item.value.removeprefix(self._kept)}"


class Zsh(_WholeWord, ZshComplete):
    """Starts zsh's completion system if the startup file has not."""

    source_template = ZshComplete.source_template.replace(
        "    compdef ", "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n    compdef "
    )


class Fish(_WholeWord, FishComplete):
    """Keeps values and descriptions that contain commas."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


def use() -> None:
    """Use these classes in place of click's."""
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)


def _files(begun: str) -> Iterator[str]:
    folder, name = os.path.split(begun)  # as typed: "./models" stays so
    for path in sorted(Path(folder or ".").glob(f"{glob.escape(name)}*")):
        yield begun.removesuffix(name) + path.name + os.sep * path.is_dir()
