"""What every figure has in common: fonts, sizes, marks that a black-and-white print keeps, and how it is saved."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from matplotlib.font_manager import fontManager

from ...core.durable import replace_file
from ...core.errors import MedbenchError, UsageError
from ...core.text import printable

WIDTHS = {"column": 3.4, "page": 7.0}  # inches: one column of a two-column paper, and both
SUFFIXES = (".png", ".svg", ".pdf")
DPI = 300
INK, SOFT, LINE = "#1b1f24", "#57606a", "#b8c0c8"
# Okabe and Ito's colors. Marks and lines differ, too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 2, 1, 2)), (0, (3, 1)), (0, (8, 2)))
# Fonts for characters that DejaVu lacks, used where they are installed
FALLBACK = ("Noto Sans CJK SC", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans", "Noto Emoji", "Symbola")


class PaperFigure(Drawing):
    """A matplotlib figure with its `caption`, and `notes` for whoever made it. A notebook shows it as it is."""

    caption: str = ""
    notes: tuple[str, ...] = ()

    def describe(self, caption: str, notes: Sequence[str] = ()) -> PaperFigure:
        """Set the caption and the notes, and return the figure."""
        self.caption, self.notes = printable(caption), tuple(notes)
        return self

    def savefig(self, fname: Any, *, transparent: bool | None = None, **settings: Any) -> None:
        """Save as matplotlib does, with embedded fonts and the caption as its text alternative."""
        form = str(settings.get("format") or Path(str(fname)).suffix.removeprefix(".") or "png").lower()
        with style():
            settings = {"dpi": DPI, "metadata": _metadata(form, self.caption)} | settings
            super().savefig(fname, transparent=transparent, **settings)

    def _repr_png_(self) -> bytes:
        return self.bytes("png")

    def bytes(self, form: str) -> bytes:
        """Return the figure as a PNG, SVG or PDF file. The same runs give the same file."""
        content = io.BytesIO()
        self.savefig(content, format=form)
        return content.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of all figures while the block runs."""
    with matplotlib.rc_context(_settings()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a note says so
        yield


@cache
def _settings() -> dict[str, Any]:
    installed = {font.name for font in fontManager.ttflist}
    return {
        "font.family": ["DejaVu Sans", *(name for name in FALLBACK if name in installed)],
        "font.size": 7,
        "axes.titlesize": 7.5,
        "axes.labelsize": 7,
        "xtick.labelsize": 6.5,
        "ytick.labelsize": 7,
        "legend.fontsize": 6.5,
        "legend.frameon": False,
        "axes.edgecolor": SOFT,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "grid.color": LINE,
        "grid.linewidth": 0.4,
        "lines.linewidth": 1.2,
        "lines.markersize": 4.5,
        "pdf.fonttype": 42,  # TrueType, embedded
        "svg.fonttype": "path",  # looks the same where the font is not installed
        "svg.hashsalt": "medbench",
        "text.parse_math": False,  # a $ in a model's name or answer is a $
        "text.usetex": False,
        "text.hinting": "none",  # letters are as wide on the screen as in print
        "savefig.facecolor": "white",
        "figure.facecolor": "white",
        "axes.unicode_minus": True,
    }


def blank(width: float, height: float, layout: str | None = "constrained") -> PaperFigure:
    """Return an empty figure of a size in inches."""
    made = PaperFigure(figsize=(width, height), dpi=150, layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(made)
    return made


def save(drawn: PaperFigure, out: Path) -> None:
    """Write the figure in the format that the file's suffix names, and create its folder if needed.

    Raises UsageError for another suffix, MedbenchError if the file cannot be written.
    """
    form = check(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, drawn.bytes(form))
    except OSError as error:
        raise MedbenchError(f"{out} cannot be written: {error.strerror or error}.", "Name another file.") from error


def check(out: Path) -> str:
    """Return the format that a file's suffix names. Raises UsageError for one that figures do not have."""
    if out.suffix.lower() not in SUFFIXES:
        what = f"the suffix {out.suffix}" if out.suffix else "no suffix"
        named = out.with_suffix(".pdf") if out.name else "figure.pdf"
        raise UsageError(f"{out} has {what}; figures are .png, .svg or .pdf.", f"--out {named}")
    return out.suffix.lower().removeprefix(".")


def fitted(name: str, characters: int = 24, lines: int = 2) -> str:
    """Return a name on a few short lines, cut in the middle if it is longer than that."""
    shown = re.sub(r"[ \t\r\n]+", " ", printable(name)).strip()  # keeps spaces that do not break
    most = characters * lines
    if len(shown) > most:
        half = (most - 1) // 2
        shown = f"{shown[:half]}…{shown[-half:]}"
    return "\n".join(textwrap.wrap(shown, characters, break_on_hyphens=True)) or " "


def _metadata(form: str, caption: str) -> dict[str, Any]:
    """Return what a file says of itself. It has no date, so that the same figure is the same file."""
    if form == "svg":
        return {"Date": None, "Creator": "medbench", "Description": caption}
    if form == "pdf":
        return {"CreationDate": None, "Creator": "medbench", "Subject": caption}
    return {"Software": "medbench", "Description": caption} if form == "png" else {}
