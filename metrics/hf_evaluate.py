"""Any metric of Hugging Face `evaluate`, as `evaluate:NAME` or `evaluate:NAME:KEY`.

NAME is a metric of the hub (`bleu`, `someone/metric`) or a path to a metric script or its folder, which begins with ./,
../, ~ or / or ends in .py: a folder that happens to have a metric's name is never run. KEY picks one of the numbers it
computes, by default the one called as the metric itself, or else the first.

The metric is computed on each item alone and the figure is the mean over items. For a metric of a whole corpus that
is another number than its own: the mean of sentence BLEUs is not the BLEU of the corpus.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import numbers
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..core import hub
from ..core.errors import MedbenchError, UsageError
from ..core.types import Figure, MetricDefaults, MetricFamily, Record, Score
from .accuracy import ACCURACY
from .figures import failed, mean_figure, unscored

PREFIX = "evaluate:"  # what metrics of this family are called
# Metrics and keys of which less is better; `evaluate` does not say.
ERRORS = {"wer", "cer", "ter", "character", "charcut_mt", "perplexity", "mse", "mae", "mape", "smape", "mase"}


@dataclass(frozen=True)
class HfMetric(MetricDefaults):
    """A metric of `evaluate`, item by item; the best of several references counts where it takes only one.

    Where it takes numbers (class indices), a choice and the gold answer are given as option indices; where it takes
    text, as what was generated (or the chosen option) and the references (or the gold option).

    Its script is imported when the first record is scored: `evaluate` takes seconds, and stored scores need none of it.
    """

    name: str
    version: str
    better: Literal["higher", "lower"]
    key: str  # of the result; "" for the default
    script: str  # as `evaluate` loads it: a name on the hub, or a full path
    binary: bool = False
    mean: bool = True
    dimension: str = "text quality"
    unit: str = "as evaluate has it"
    in_background: bool = False  # its script may use a GPU, where the model is

    @cached_property
    def module(self) -> Any:
        """Raises MedbenchError for a metric that cannot be fetched, imported or used."""
        module = _load(self.script)
        if not any(hasattr(form.get("predictions"), "dtype") and "references" in form for form in _inputs(module)):
            raise MedbenchError(
                f"'{self.name}' cannot be used: it takes {module.features}.",
                "medbench gives a metric predictions and references, each a text or a class number.",
            )
        return module

    @property
    def runs_code(self) -> str:  # type: ignore[override]
        """The script on this disk whose code runs, "" for a metric of the hub."""
        return self.script if _is_path(self.script) else ""

    def ready(self) -> None:
        """Raises what would be raised when the first record is scored."""
        _ = self.module

    def score(self, records: Sequence[Record]) -> list[Score]:
        self.ready()  # before any record, whose own failure is only its own
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, better=self.better)]

    def _score(self, record: Record) -> Score:
        reason, prediction, references = self._pair(record)
        if reason:
            return unscored(record, reason)
        # What it is given for its references: all at once where it takes a list, otherwise one after the other.
        given = [references] if _takes_list(self.module) else references
        try:
            values = [self._value(self.module.compute(predictions=[prediction], references=[one])) for one in given]
        except Exception as error:  # whatever a metric script may raise on this item
            return unscored(record, f"{type(error).__name__}: {error}")
        known = [value for value in values if value is not None]
        if not known:
            return unscored(record, f"its result has no number{f' called {self.key}' if self.key else ''}")
        best: Callable[[list[float]], float] = max if self.better == "higher" else min
        return Score(record.item.id, best(known))

    def _pair(self, record: Record) -> tuple[str, Any, list[Any]]:
        """Why the metric cannot be given this record, or "" with the prediction and the references."""
        item, output = record.item, record.output
        if reason := failed(record):
            return reason, None, []
        if output.text is not None and _takes_text(self.module):
            references = list(item.references) or ([item.options[item.gold]] if item.gold is not None else [])
            return ("" if references else "no reference answer"), output.text, references
        if not item.options:
            return ("takes numbers" if output.text is not None else "no generated answer"), None, []
        (choice,) = ACCURACY.score([record])
        if choice.answer is None:
            return choice.reason or "no answer", None, []
        assert item.gold is not None
        index = item.answers.index(choice.answer)
        if _takes_text(self.module):
            return "", item.options[index], [item.options[item.gold]]
        return "", index, [item.gold]

    def _value(self, result: dict[str, Any] | None) -> float | None:
        """The number that the result is read as; None where there is none, or one that is not finite."""
        result = result or {}
        if self.key:
            return _number(result.get(self.key))
        own = self.module.name.rpartition("/")[2]
        candidates = [result[own]] if own in result else list(result.values())
        return next((number for number in map(_number, candidates) if number is not None), None)


def hf_metric(name: str) -> HfMetric:
    """The metric called `evaluate:NAME` or `evaluate:NAME:KEY`. Raises UsageError for a path that does not exist."""
    what, key = _parts(name)
    path = Path(what).expanduser()
    local = _is_path(what)
    if local and not path.exists():
        raise UsageError(f"no such file: {what}", "evaluate:PATH takes a metric script or a folder with one.")
    if not local and (path / f"{path.name}.py").is_file():  # which `evaluate` would run in the place of the hub's
        raise UsageError(
            f"{name}: there is a metric script of that name here: {path / path.name}.py",
            f"To run that one: evaluate:./{what}. For the hub's, give the command in another folder.",
        )
    version = f"2+evaluate{importlib.metadata.version('evaluate')}"
    if local:
        path = path.resolve()
        script = path / f"{path.name}.py" if path.is_dir() else path
        if not script.is_file():
            raise UsageError(f"no such file: {script}", "A folder's metric is the script of its name.")
        version += f"+{hashlib.sha256(script.read_bytes()).hexdigest()[:10]}"
        what = str(path)
    own = what.rpartition("/")[2].removesuffix(".py")
    return HfMetric(name, version, "lower" if own in ERRORS or key in ERRORS else "higher", key, what)


def _parts(name: str) -> tuple[str, str]:
    """NAME and KEY of `evaluate:NAME` or `evaluate:NAME:KEY`."""
    what = name.removeprefix(PREFIX)
    if not Path(what).exists() and ":" in what:
        what, _, key = what.rpartition(":")
    else:
        key = ""
    if not what:
        raise UsageError(f"'{name}' names no metric.", "Write evaluate:NAME, for example evaluate:bleu.")
    return what, key


def _is_path(what: str) -> bool:
    """Whether this is written as a path, not as a name."""
    return what.endswith(".py") or what.startswith((".", "/", "~")) or Path(what).is_absolute()


def _load(what: str) -> Any:
    """The metric's module, from a path on this disk or a name on the hub."""
    local = _is_path(what)
    # Asked before `evaluate` is imported, which takes seconds, and whose client would wait for a silent hub.
    if not local and not hub.reachable() and not _fetched(what):
        raise MedbenchError(
            f"the metric '{what}' of `evaluate` is a script on the hub, and no earlier run has fetched it: "
            f"{hub.why_unreachable()}.",
            "Run once with network, or give a script on this disk: evaluate:PATH/TO/SCRIPT.py.",
        )
    import evaluate

    was_offline = evaluate.config.HF_EVALUATE_OFFLINE
    evaluate.config.HF_EVALUATE_OFFLINE = was_offline or not hub.reachable()
    try:
        return evaluate.load(what, keep_in_memory=True)
    except ImportError as error:  # evaluate names the packages that the script needs
        raise MedbenchError(f"the metric '{what}' of `evaluate` cannot be imported: {error}") from error
    except Exception as error:  # whatever a metric script may raise at import
        todo = "Fix it and try again." if local else f"All of evaluate's own: {hub.endpoint()}/evaluate-metric."
        raise MedbenchError(f"`evaluate` cannot load '{what}': {type(error).__name__}: {error}", todo) from error
    finally:
        evaluate.config.HF_EVALUATE_OFFLINE = was_offline


def _fetched(what: str) -> bool:
    """Whether an earlier run left a copy of this hub metric where `evaluate` keeps them."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    modules = os.environ.get("HF_MODULES_CACHE") or Path(os.environ.get("HF_HOME") or caches).expanduser() / "modules"
    kept = Path(modules) / "evaluate_modules" / "metrics"
    return any(kept.glob(what.replace("/", "--") if "/" in what else f"evaluate-*--{what}"))


def _inputs(module: Any) -> list[Any]:
    """The forms of input that a metric takes, each a mapping of `predictions` and `references` to their types."""
    return module.features if isinstance(module.features, list) else [module.features]


def _takes_text(module: Any) -> bool:
    return any(getattr(form.get("predictions"), "dtype", "") in {"string", "large_string"} for form in _inputs(module))


def _takes_list(module: Any) -> bool:
    """Whether it takes several references for one prediction."""
    return any(not hasattr(form.get("references"), "dtype") for form in _inputs(module))


def _number(value: Any) -> float | None:
    """A finite number, alone or in a list of one (as a metric returns what it computes for each item)."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1:
        value = value[0] if len(value) == 1 else None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if math.isfinite(value) else None


# A script of the hub or of this disk is code that nobody installed.
FAMILY = MetricFamily("evaluate", hf_metric, "Any metric of Hugging Face evaluate: evaluate:NAME.", installed=False)
