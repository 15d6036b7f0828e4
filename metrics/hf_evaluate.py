"""Any metric of Hugging Face `evaluate`, as `evaluate:NAME` or `evaluate:NAME:KEY`.

NAME is a metric on the hub (`bleu`, `someone/metric`), or the path of a metric script or its folder. A path starts with
./, ../, ~ or / or ends in .py, so that a folder with the name of a metric is never run by accident. KEY selects one of
the numbers that the metric computes: by default the one with the metric's own name, or else the first.

The metric is computed for each item separately, and the figure is the mean over items. For a corpus-level metric that
is a different number: the mean of sentence BLEUs is not the corpus BLEU.
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
# Metrics and keys for which lower is better; `evaluate` does not declare it.
ERRORS = {"wer", "cer", "ter", "character", "charcut_mt", "perplexity", "mse", "mae", "mape", "smape", "mase"}


@dataclass(frozen=True)
class HfMetric(MetricDefaults):
    """A metric of `evaluate`, item by item. If it takes only one reference, the best of several counts.

    A metric that takes numbers (class indices) gets the choice and the gold answer as option indices. A metric that
    takes text gets the generated text (or the chosen option) and the references (or the gold option).

    Its script is imported when the first record is scored: importing `evaluate` takes seconds, and stored scores do not
    need it.
    """

    name: str
    version: str
    better: Literal["higher", "lower"]
    key: str  # key of the result; "" for the default
    script: str  # as passed to `evaluate`: a name on the hub, or a full path
    binary: bool = False
    mean: bool = True
    dimension: str = "text quality"
    unit: str = "as defined by evaluate"
    in_background: bool = False  # its script may use the GPU that the model is on

    @cached_property
    def module(self) -> Any:
        """The metric's module. Raises MedbenchError if it cannot be fetched, imported or used."""
        module = _load(self.script)
        if not any(hasattr(form.get("predictions"), "dtype") and "references" in form for form in _inputs(module)):
            raise MedbenchError(
                f"'{self.name}' cannot be used: it takes {module.features}.",
                "medbench passes predictions and references to a metric, each a text or a class index.",
            )
        return module

    @property
    def runs_code(self) -> str:  # type: ignore[override]
        """The script on this disk that would be run, or "" for a metric on the hub."""
        return self.script if _is_path(self.script) else ""

    def ready(self) -> None:
        """Raise now what scoring the first record would raise."""
        _ = self.module

    def score(self, records: Sequence[Record]) -> list[Score]:
        self.ready()  # before any record, because a record's failure affects only that record
        return [self._score(record) for record in records]

    def aggregate(self, records: Sequence[Record], scores: Sequence[Score]) -> list[Figure]:
        return [mean_figure(self.name, records, scores, binary=False, better=self.better)]

    def _score(self, record: Record) -> Score:
        reason, prediction, references = self._pair(record)
        if reason:
            return unscored(record, reason)
        # The references: all at once if the metric takes a list, otherwise one at a time.
        given = [references] if _takes_list(self.module) else references
        try:
            values = [self._value(self.module.compute(predictions=[prediction], references=[one])) for one in given]
        except Exception as error:  # a metric script may raise anything
            return unscored(record, f"{type(error).__name__}: {error}")
        known = [value for value in values if value is not None]
        if not known:
            return unscored(record, f"its result has no number{f' called {self.key}' if self.key else ''}")
        best: Callable[[list[float]], float] = max if self.better == "higher" else min
        return Score(record.item.id, best(known))

    def _pair(self, record: Record) -> tuple[str, Any, list[Any]]:
        """Return why this record cannot be passed to the metric, or "" with the prediction and the references."""
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
        """Return the number in the result; None if there is none or it is not finite."""
        result = result or {}
        if self.key:
            return _number(result.get(self.key))
        own = self.module.name.rpartition("/")[2]
        candidates = [result[own]] if own in result else list(result.values())
        return next((number for number in map(_number, candidates) if number is not None), None)


def hf_metric(name: str) -> HfMetric:
    """Return the metric called `evaluate:NAME` or `evaluate:NAME:KEY`. Raises UsageError for a missing path."""
    what, key = _parts(name)
    path = Path(what).expanduser()
    local = _is_path(what)
    if local and not path.exists():
        raise UsageError(f"no such file: {what}", "evaluate:PATH needs a metric script or a folder that contains one.")
    if not local and (path / f"{path.name}.py").is_file():  # `evaluate` would run it instead of the hub's
        raise UsageError(
            f"{name}: there is a metric script of that name here: {path / path.name}.py",
            f"To run that one: evaluate:./{what}. For the one on the hub, run the command in another folder.",
        )
    version = f"2+evaluate{importlib.metadata.version('evaluate')}"
    if local:
        path = path.resolve()
        script = path / f"{path.name}.py" if path.is_dir() else path
        if not script.is_file():
            raise UsageError(f"no such file: {script}", "A folder's metric script has the folder's name.")
        version += f"+{hashlib.sha256(script.read_bytes()).hexdigest()[:10]}"
        what = str(path)
    own = what.rpartition("/")[2].removesuffix(".py")
    return HfMetric(name, version, "lower" if own in ERRORS or key in ERRORS else "higher", key, what)


def _parts(name: str) -> tuple[str, str]:
    """Return NAME and KEY of `evaluate:NAME` or `evaluate:NAME:KEY`."""
    what = name.removeprefix(PREFIX)
    if not Path(what).exists() and ":" in what:
        what, _, key = what.rpartition(":")
    else:
        key = ""
    if not what:
        raise UsageError(f"'{name}' names no metric.", "Write evaluate:NAME, for example evaluate:bleu.")
    return what, key


def _is_path(what: str) -> bool:
    """Return whether this is written as a path rather than a name."""
    return what.endswith(".py") or what.startswith((".", "/", "~")) or Path(what).is_absolute()


def _load(what: str) -> Any:
    """Return the metric's module, from a path on this disk or a name on the hub."""
    local = _is_path(what)
    # Checked before importing `evaluate`, which takes seconds and whose client waits for a silent hub.
    if not local and not hub.reachable() and not _fetched(what):
        raise MedbenchError(
            f"the metric '{what}' of `evaluate` is a script on the hub, and no earlier run has fetched it: "
            f"{hub.why_unreachable()}.",
            "Run once with network access, or give a script on this disk: evaluate:PATH/TO/SCRIPT.py.",
        )
    import evaluate

    was_offline = evaluate.config.HF_EVALUATE_OFFLINE
    evaluate.config.HF_EVALUATE_OFFLINE = was_offline or not hub.reachable()
    try:
        return evaluate.load(what, keep_in_memory=True)
    except ImportError as error:  # the message names the packages that the script needs
        raise MedbenchError(f"the metric '{what}' of `evaluate` cannot be imported: {error}") from error
    except Exception as error:  # a metric script may raise anything when imported
        todo = "Fix it and try again." if local else f"All of evaluate's own: {hub.endpoint()}/evaluate-metric."
        raise MedbenchError(f"`evaluate` cannot load '{what}': {type(error).__name__}: {error}", todo) from error
    finally:
        evaluate.config.HF_EVALUATE_OFFLINE = was_offline


def _fetched(what: str) -> bool:
    """Return whether an earlier run left a copy of this hub metric in the cache of `evaluate`."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    modules = os.environ.get("HF_MODULES_CACHE") or Path(os.environ.get("HF_HOME") or caches).expanduser() / "modules"
    kept = Path(modules) / "evaluate_modules" / "metrics"
    return any(kept.glob(what.replace("/", "--") if "/" in what else f"evaluate-*--{what}"))


def _inputs(module: Any) -> list[Any]:
    """Return the input forms that a metric accepts, each a mapping of `predictions` and `references` to types."""
    return module.features if isinstance(module.features, list) else [module.features]


def _takes_text(module: Any) -> bool:
    return any(getattr(form.get("predictions"), "dtype", "") in {"string", "large_string"} for form in _inputs(module))


def _takes_list(module: Any) -> bool:
    """Return whether it takes several references for one prediction."""
    return any(not hasattr(form.get("references"), "dtype") for form in _inputs(module))


def _number(value: Any) -> float | None:
    """Return a finite number, alone or in a list of one (as metrics return per-item values), or None."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1:
        value = value[0] if len(value) == 1 else None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value) if math.isfinite(value) else None


# A script of the hub or of this disk is code that nobody installed.
FAMILY = MetricFamily("evaluate", hf_metric, "Any metric of Hugging Face evaluate: evaluate:NAME.", installed=False)
