"""From training to a server, on SmolLM2 135M: what every step changes in the answers. Run by hand.

    python tests/peers/export_chain.py --data releases/ --out chain/ --limit 36

It trains an adapter (short), exports it as f16, q8_0 and q4_k_m, runs each file by llama.cpp in process, serves it, and
asks the server: `medbench train`, `export --check`, `run -m gguf:`, a server, `run -m openai:`. Every step is compared
in pairs with the adapter on its base. `--server` is the command that serves a GGUF file, with {file} and {port} in it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import medbench
from medbench.serving.export.check import CheckRow

SERVER = f"{sys.executable} -m llama_cpp.server --model {{file}} --port {{port}} --n_ctx 4096 --logits_all true"
SHORT = {"quantize": "none", "batch_size": 2, "max_length": 128}  # minutes on a CPU


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of official releases")
    parser.add_argument("--out", type=Path, required=True, help="folder for adapters, exports, runs and the table")
    parser.add_argument("--steps", type=int, default=20, help="optimizer steps of the training")
    parser.add_argument("--limit", type=int, default=36)
    parser.add_argument("--max-new-tokens", type=int, default=32)
    parser.add_argument("--types", default="f16,q8_0,q4_k_m")
    parser.add_argument("--benchmarks", default="medqa,medquad")
    parser.add_argument("--server", default=SERVER)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    os.environ["MEDBENCH_HOME"] = str(asked.out.resolve())
    trained = medbench.train(
        "smollm2-135m", tag="short", settings=SHORT, max_steps=asked.steps, data=asked.data, leave_out_leaks=True
    )
    print(f"trained: {trained.manifest.name}", flush=True)
    found: dict[str, list[CheckRow]] = {}
    for kind in asked.types.split(","):
        made = medbench.export("smollm2-135m@short", "gguf", type=kind)
        print(f"exported: {made.file} ({made.bytes:,} bytes)", *made.notes, sep="\n  ", flush=True)
        port = _free_port()
        command = shlex.split(asked.server.format(file=made.file, port=port))
        with (asked.out / f"server-{kind}.log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                _wait(port, server)
                checked = medbench.export(
                    "smollm2-135m@short",
                    "gguf",
                    type=kind,
                    check=asked.benchmarks,
                    limit=asked.limit,
                    max_new_tokens=asked.max_new_tokens,
                    data=asked.data,
                    server=f"openai:{made.file}",
                    base_url=f"http://127.0.0.1:{port}/v1",
                ).check
            finally:
                server.terminate()
                server.wait()
        assert checked is not None
        found[kind] = list(checked.rows)
        print(*checked.problems, _table(kind, checked.rows), sep="\n", flush=True)
        (asked.out / f"chain-{kind}.json").write_text(json.dumps(checked.as_dict(), indent=1))


def _table(kind: str, rows: tuple[CheckRow, ...]) -> str:
    lines = ["| benchmark | type | step | metric | value | original - this [95 % CI] | p | changed | tokens/s | MB |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        gap = "–" if row.difference is None else f"{row.difference:+.3f}"
        if row.low is not None and row.high is not None:
            gap += f" [{row.low:+.3f}, {row.high:+.3f}]"
        p = "–" if row.p is None else f"{row.p:.2f}"
        changed = "–" if row.changed is None else f"{row.changed} of {row.n}"
        speed = "–" if row.tokens_per_s is None else f"{row.tokens_per_s:.0f}"
        size = "–" if row.bytes is None else f"{row.bytes / 1e6:.0f}"
        lines.append(
            f"| {row.benchmark} | {kind} | {row.role} | {row.metric} | {row.value:.3f} | {gap} | {p} | {changed} "
            f"| {speed} | {size} |"
        )
    return "\n".join(lines)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
            return
        except OSError:
            if server.poll() is not None:
                raise SystemExit(f"the server ended with {server.returncode}") from None
            time.sleep(1)
    raise SystemExit("the server does not answer")


if __name__ == "__main__":
    main()
