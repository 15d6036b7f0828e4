"""`medbench export`: exports a model for other programs and measures what that changed; or stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import cloup

from ...core.errors import UsageError
from .. import completion
from ..export_runs import export_runs
from ..model_options import REVISION, TRUST_REMOTE_CODE
from ..options import RUNS_READ, Command, FilePath
from ..push import push
from ..ui import output
from ..ui.messages import say, tell
from ..ui.progress import watch

if TYPE_CHECKING:
    from ...evaluation.progress import Progress
    from ...evaluation.settings import Choice
    from ...serving.export.api import Export, To

FORMATS = ("every-eval-ever", "lm-eval", "inspect")
TYPES = "q4_k_m, q8_0, f16, bf16, f32, q6_k, q5_k_m, q5_k_s, q4_k_s, q3_k_m, iq4_xs, …"


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench export smollm2-135m@first --to gguf
  medbench export smollm2-135m@first --to gguf --check medquad,medqa --limit 100
  medbench export smollm2-135m@first --to ollama --system "Answer briefly."
  medbench export hera-gemma-2-2b@paper --to safetensors --out models/hera
  medbench export smollm2-135m@first --to hub --repo me/medical --private
  medbench run -m gguf:exports/smollm2-135m-first-q4_k_m -b medqa
  medbench export --format lm-eval --out shared/        all runs in runs/
  medbench export smollm2-135m__medqa --format inspect --out logs/
""",
)
@click.argument("names", nargs=-1, metavar="NAME[@TAG]|[RUNS]...", shell_complete=completion.exported)
@cloup.option_group(
    "Most used",
    click.option(
        "--to",
        type=click.Choice(["safetensors", "gguf", "ollama", "hub"]),
        default="gguf",
        show_default=True,
        help="Whole weights with the adapter merged in; a GGUF file for llama.cpp; GGUF and Modelfile for Ollama; "
        "or the Hugging Face hub.",
    ),
    click.option(
        "--format",
        "of_runs",
        type=click.Choice(list(FORMATS)),
        help="Export stored RUNS, not a model: figures and answers, for these tools.",
    ),
    click.option(
        "--type", "kind", default="", metavar="TYPE", help=f"Type of GGUF weights: {TYPES}  [default: q4_k_m]"
    ),
    click.option(
        "--out",
        type=FilePath(),
        metavar="DIR",
        help="A new or empty folder; with --format, any.  [default: in exports/]",
    ),
    click.option(
        "--check",
        "checks",
        multiple=True,
        metavar="NAMES",
        help="Compare the original, merged and exported model in pairs on these benchmarks.",
        shell_complete=completion.plugins("benchmarks"),
    ),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use N items of each --check benchmark."),
    click.option(
        "--data",
        type=FilePath(exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of official data releases.  [default: MEDBENCH_DATA]",
    ),
)
@cloup.option_group(
    "Model",
    click.option(
        "--adapter",
        default="",
        metavar="DIR|ID",
        shell_complete=completion.files,
        help="PEFT adapter to merge into the model: folder or hub id.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Data type of the merged weights; 16 bits take half the disk and memory.",
    ),
    REVISION,
    TRUST_REMOTE_CODE,
    click.option("--system", default="", metavar="TEXT", help="System prompt of the Ollama model."),
)
@cloup.option_group(
    "Check",
    click.option(
        "--check-server",
        "server",
        default="",
        metavar="NAME",
        help="Also compare a model at a server: openai:NAME.",
    ),
    click.option("--base-url", default="", metavar="URL", help="Server of --check-server.  [default: OPENAI_BASE_URL]"),
    click.option(
        "--seed", type=int, default=0, show_default=True, metavar="N", help="Random seed for the --limit items."
    ),
    click.option(
        "--choice",
        type=click.Choice(["auto", "logprob", "generate"]),
        default="auto",
        show_default=True,
        help="How multiple choice is asked. auto: by log-probability if all models have them.",
    ),
    click.option(
        "--max-new-tokens",
        type=click.IntRange(min=1),
        metavar="N",
        help="Token limit of an answer.  [default: the benchmark's]",
    ),
    RUNS_READ,
)
@cloup.option_group(
    "Hub",
    click.option("--repo", default="", metavar="OWNER/NAME", help="Repository to push to; it is created if needed."),
    click.option("--merged", is_flag=True, help="Push whole weights.  [default: the adapter, if there is one]"),
    click.option("--private", is_flag=True, help="Create a private repository."),
    click.option("--yes", "-y", is_flag=True, help="Push without asking."),
)
@cloup.option_group(
    "Output",
    click.option("--quiet", "-q", is_flag=True, help="No progress, no table: errors only."),
    click.option("--json", "as_json", is_flag=True, help="Print the export and the check as JSON on stdout."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    names: tuple[str, ...],
    to: str,
    of_runs: str | None,
    kind: str,
    out: Path | None,
    checks: tuple[str, ...],
    limit: int | None,
    data: Path | None,
    adapter: str,
    dtype: str,
    revision: str,
    trust_remote_code: bool,
    system: str,
    server: str,
    base_url: str,
    seed: int,
    choice: str,
    max_new_tokens: int | None,
    runs: Path | None,
    repo: str,
    merged: bool,
    private: bool,
    yes: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Export a model for other programs, and measure what that changed. With --format, export stored runs.

    The folder appears when it is complete, and the same command finds it there. A model that cannot be exported is
    rejected before any work starts. With --check, the original (base and adapter), the merged and the exported model
    answer the same items, and paired tests show which differences are significant.

    With --format, RUNS are run folders, run ids, models or folders of runs (default: runs/). Their figures and answers
    are written as files of Every Eval Ever, lm-evaluation-harness or Inspect.
    """
    if of_runs:
        export_runs(names, of_runs, out, runs, quiet, as_json)
        return
    if len(names) != 1:
        problem = f"{len(names)} models are named: {' '.join(names)}." if names else "no model is named."
        hint = "Models are exported one at a time. To export runs, add --format lm-eval, inspect or every-eval-ever"
        raise UsageError(problem, hint)
    (model,) = names
    progress = watch(quiet)
    if to == "hub":
        _push(model, progress, locals())
        return
    for option, value in {"--repo": repo, "--merged": merged, "--private": private, "--yes": yes}.items():
        if value:
            raise click.UsageError(f"{option} works only with --to hub.")
    from ...serving.export.api import export

    made = export(
        model,
        cast("To", to),
        type=kind,
        out=out,
        dtype=dtype,
        adapter=adapter,
        revision=revision,
        trust_remote_code=trust_remote_code,
        system=system,
        check=output.names(checks),
        limit=limit,
        seed=seed,
        choice=cast("Choice", choice),
        max_new_tokens=max_new_tokens,
        server=server,
        base_url=base_url,
        data=data,
        runs=runs,
        progress=progress,
    )
    _report(made, quiet, as_json)


def _report(made: Export, quiet: bool, as_json: bool) -> None:
    if as_json:
        output.show_json(made.as_dict())
    elif not quiet:
        from ...core.text import size
        from ..ui import render_export

        where = made.file or made.path
        say(f"{'exported' if made.new else 'already exported'}: {where} ({made.type}, {size(made.bytes)})")
        for note in made.notes:
            tell(f"  {note}")
        if made.check:
            output.show(render_export.checked(made.check))
        for line in _next(made):
            tell(line)
    problems = made.check.problems if made.check else ()
    for problem in problems:
        tell(f"\nNot done: {problem}")
    if problems:
        raise SystemExit(1)


def _next(made: Export) -> list[str]:
    """Return the commands to run next."""
    if made.to == "ollama":
        from ...serving.export.api import stem_of

        return [f"ollama create {stem_of(made.name).lower()} -f {made.path / 'Modelfile'}"]
    model = f"gguf:{made.file}" if made.file else str(made.path)
    return [] if made.check else [f"To measure it: medbench run -m {model}"]


def _push(model: str, progress: Progress, given: dict[str, Any]) -> None:
    """Show what would be sent, ask, and send it."""
    from ...serving.export import hub

    taken = {"--type": given["kind"], "--out": given["out"], "--system": given["system"], "--check": given["checks"]}
    for option, value in taken.items():
        if value:
            raise click.UsageError(f"{option} has no effect with --to hub.")
    with hub.prepared(
        model,
        given["repo"],
        merged=given["merged"],
        private=given["private"],
        dtype=given["dtype"],
        adapter=given["adapter"],
        revision=given["revision"],
        trust_remote_code=given["trust_remote_code"],
        progress=progress,
    ) as parcel:
        push(parcel, yes=given["yes"], quiet=given["quiet"], as_json=given["as_json"])
