"""`medbench serve`: serves a model over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import cloup

from .. import completion
from ..model_options import model_options
from ..options import Command
from ..ui.messages import tell

if TYPE_CHECKING:
    from ...evaluation.suite import ModelOptions


@cloup.command(
    cls=Command,
    epilog="""\b
Examples:
  medbench serve smollm2-135m
  medbench serve smollm2-135m@default --port 8080
  medbench serve my/hub-model --adapter adapters/mine --dtype bfloat16
  medbench serve gguf:models/mine.Q4_K_M.gguf
  KEY=… medbench serve smollm2-135m --host 0.0.0.0 --api-key-env KEY
Then open http://localhost:8000/docs, or give the model a benchmark:
  medbench run -m openai:smollm2-135m --base-url http://localhost:8000/v1
""",
)
@click.argument("name", metavar="NAME[@TAG]", shell_complete=completion.models)
@cloup.option_group(
    "Address",
    click.option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS",
        help="Listen on this address. 0.0.0.0: all.",
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=8000,
        show_default=True,
        metavar="N",
        help="Listen on this port. 0: any free one.",
    ),
    click.option(
        "--api-key-env",
        default="",
        metavar="VARIABLE",
        help="Require clients to send the key in this environment variable.",
    ),
)
@cloup.option_group(
    "Limits",
    click.option(
        "--queue",
        type=click.IntRange(0),
        default=128,
        show_default=True,
        help="Requests that may wait; further ones get status 429.",
    ),
    click.option(
        "--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Token limit of an answer."
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="Time limit of a request, including its wait in the queue.",
    ),
    click.option(
        "--max-bytes", type=click.IntRange(1024), default=1 << 20, show_default=True, help="Size limit of a request."
    ),
)
@model_options
@cloup.option_group(
    "Output",
    click.option("--log-prompts", is_flag=True, help="Log every prompt and answer, which may be confidential."),
    cloup.help_option("--help", "-h", help="Show this message and exit."),
)
def command(
    name: str,
    host: str,
    port: int,
    api_key_env: str,
    queue: int,
    max_tokens: int,
    timeout: float,
    max_bytes: int,
    options: ModelOptions,
    log_prompts: bool,
) -> None:
    """Serve a model over HTTP: /ask for cases, /v1 for OpenAI's API, /docs to try both.

    Decoding is greedy, as in `medbench run`, unless a request sets a temperature. Ctrl-C finishes running requests; a
    second Ctrl-C stops at once.
    """
    from ...serving.api import server
    from ...serving.api.settings import ServerSettings
    from ...serving.listening import LOOPBACK
    from ...serving.models import engine_of

    key = server.key_of(api_key_env) if api_key_env else ""
    if host not in LOOPBACK:
        risk = "with this key" if key else "WITHOUT A KEY (--api-key-env)"
        tell(f"--host {host}: anyone who can reach this machine can use the model, {risk}, over plain HTTP.")
    server.check_installed()
    engine = engine_of(name, tell, **options)
    server.log_to_stderr()
    code = server.serve(
        engine,
        ServerSettings(queue, max_tokens, timeout, max_bytes, key, log_prompts),
        host=host,
        port=port,
        ready=lambda url: tell(f"{engine.spec.name} is served at {url}. Try it: {url}/docs"),
        tell=tell,
    )
    raise SystemExit(code)
