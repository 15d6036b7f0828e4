"""Text from outside on its way to a terminal: nothing in it is interpreted, and everything in it is visible."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from medbench import cli as cli_package
from medbench.cli import cli
from medbench.cli.ui.messages import tell
from medbench.cli.ui.screen import Screen
from medbench.core.text import plain_reason, printable, printable_json, printable_json_parts
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

CASES = {
    "plain": "plain",
    "two\n\tlines": "two\n\tlines",
    "café, 日本, 👩\u200d⚕️, مرحبا": "café, 日本, 👩\u200d⚕️, مرحبا",
    "\x1b[2J": "␛[2J",  # clears the screen
    "\x1b]0;title\x07": "␛]0;title␇",  # renames the window
    "\x9b31m": "\ufffd31m",  # the same as ESC [, in one character
    "a\x00b\x7f": "a␀b␡",
    "right\rwrong": "right␍wrong",  # would print over what is there
    "one\r\ntwo": "one\ntwo",
    "Answer: \u202eB": "Answer: \ufffdB",  # would be shown from right to left
    "a\u200eb\u200fc\u061cd": "a\ufffdb\ufffdc\ufffdd",  # marks that reorder their neighbors
    "half \ud83d": "half \ufffd",  # cannot be encoded at all
}


@pytest.mark.parametrize(("text", "shown"), CASES.items(), ids=ascii)
def test_control_characters_are_shown_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", CASES, ids=ascii)
def test_json_has_the_same_value_and_no_control_characters(text: str) -> None:
    shown = printable_json({text: [text]})
    assert json.loads(shown) == {text: [text]}
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "value", [{}, {"a": 1}, {"a": [], "b\x1b": {}}, {"m": {"x": [1, {"y": "\u202e\n"}]}, "items": [{"t": "é"}, [1], 2]}]
)
def test_json_in_parts_is_the_same_text(value: dict[str, object]) -> None:
    lists = {name: iter(part) if isinstance(part, list) else part for name, part in value.items()}
    assert "".join(printable_json_parts(value)) == "".join(printable_json_parts(lists)) == printable_json(value)


def drawn(*parts: object) -> str:
    """What a terminal of 60 columns would be sent."""
    screen = Screen(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=60, highlight=False)
    for part in parts:
        screen.print(part)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_tables_panels_and_markup_show_escapes_and_keep_their_own_styles() -> None:
    hostile = "evil\x1b[31mred\x1b]0;x\x07"
    table = Table("item", "answer", title=hostile)
    table.add_row(hostile, Text(hostile, style="bold"))
    shown = drawn(table, Panel(Text(hostile), title=escape(hostile)), f"[bold]{escape(hostile)}[/bold]").replace(
        "\n", ""
    )
    assert shown.count("␛[31mred␛]") == 6  # title, two cells, panel, its title, and the line
    assert "\x1b[31m" not in shown and "\x1b]0;" not in shown and "\x07" not in shown
    assert "\x1b[1m" in shown  # bold, as we asked


def test_a_cleaned_table_is_still_straight() -> None:
    table = Table("item", "answer")
    table.add_row("\x1b\x1b\x1b\x1b", "one")
    table.add_row("two", "three")
    lines = drawn(table).splitlines()
    assert len({len(Text.from_ansi(line).plain) for line in lines}) == 1


def test_lines_for_people_and_error_messages(capfd: pytest.CaptureFixture[str]) -> None:
    tell("server said: \x1b[2J")
    assert capfd.readouterr().err == "server said: ␛[2J\n"
    for command in (["show", "no\x1b[2Jrun"], ["run", "--model", "no\x1b[2Jmodel"], ["\x1b[2J"]):
        result = CliRunner().invoke(cli, command, color=True)
        assert result.exit_code == 2
        assert "\x1b" not in result.output and "␛[2J" in result.output, command


def test_every_command_prints_through_these() -> None:
    """Neither click nor rich cleans what it prints; `tell`, `say`, `show_json` and the screen do."""
    raw = re.compile(r"click\.echo\(|(?<!screen\.)\bprint\(|\bConsole\(")
    doors = {"__init__.py", "messages.py", "output.py", "doctor.py", "screen.py"}
    files = {file.name: file.read_text(encoding="utf-8") for file in Path(cli_package.__file__).parent.glob("**/*.py")}
    assert {"run.py", "show.py", *doors} <= files.keys()
    assert [name for name, text in files.items() if name not in doors and raw.search(text)] == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("[Errno -2] Name or service not known", "host name not found, or no network"),
        ("[Errno 11001] getaddrinfo failed", "host name not found, or no network"),
        ("[Errno 111] Connection refused", "Connection refused"),
        ("certificate has expired", "certificate has expired"),
    ],
)
def test_why_a_connection_failed_in_plain_words(said: str, shown: str) -> None:
    assert plain_reason(said) == shown
