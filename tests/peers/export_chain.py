"""From training to a server, on SmolLM2 135M: what every step changes in the answers. Run by hand.

    python tests/peers/export_chain.py --data releases/ --out chain/ --limit 36

It trains an adapter (short), exports it as f16, q8_0 and q4_k_m, runs each file by llama.cpp in process, serves it, and
asks the server: `medbench train`, `export --check`, `run -m gguf:`, a server, `run -m openai:`. `medbench serve` serves
the adapter on its base, and each file; another server, each file. Every step is compared in pairs with the adapter on
its base. `--server` is the command of that other server, with {file} and {port} in it; "" leaves it out.
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
from medbench.serving.export.check import Check, CheckRow

LLAMA_CPP = f"{sys.executable} -m llama_cpp.server --model {{file}} --port {{port}} --n_ctx 4096 --logits_all true"
MEDBENCH = f"{sys.executable} -m medbench serve {{model}} --port {{port}}"
ADAPTER = "smollm2-135m@short"
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
    parser.add_argument("--server", default=LLAMA_CPP)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    os.environ["MEDBENCH_HOME"] = str(asked.out.resolve())
    trained = medbench.train(
        "smollm2-135m", tag="short", settings=SHORT, max_steps=asked.steps, data=asked.data, leave_out_leaks=True
    )
    print(f"trained: {trained.manifest.name}", flush=True)
    rows = [row for kind in asked.types.split(",") for row in _checked(asked, kind)]
    print(_table(rows), flush=True)


def _checked(asked: argparse.Namespace, kind: str) -> list[tuple[str, CheckRow]]:
    """Export as `kind`, serve what there is to serve, and return every step's rows, each with the step's name."""
    made = medbench.export(ADAPTER, "gguf", type=kind)
    print(f"exported: {made.file} ({made.bytes:,} bytes)", *made.notes, sep="\n  ", flush=True)
    assert made.file is not None
    servers = {
        "medbench serve, adapter": (MEDBENCH.format(model=ADAPTER, port="{port}"), ADAPTER),
        "medbench serve, file": (MEDBENCH.format(model=f"gguf:{made.file}", port="{port}"), made.file.stem),
    }
    if asked.server:
        servers["llama.cpp's server, file"] = (asked.server.replace("{file}", str(made.file)), str(made.file))
    found: dict[str, CheckRow] = {}
    for step, (command, name) in servers.items():
        checked = _beside(asked, kind, command, name, asked.out / f"server-{kind}-{len(found)}.log")
        print(*checked.problems, sep="\n", flush=True)
        (asked.out / f"chain-{kind}-{len(found)}.json").write_text(json.dumps(checked.as_dict(), indent=1))
        for row in checked.rows:
            title = step if row.role == "served" else row.role
            # Multiple choice is asked as each server can be asked: rows of other runs are other rows.
            found.setdefault(f"{title} {row.run_id}", row)
    return [(f"{title.rpartition(' ')[0]}, {kind}", row) for title, row in found.items()]


def _beside(asked: argparse.Namespace, kind: str, command: str, name: str, log: Path) -> Check:
    """Compare the original, the merged and the exported model, and one at a server that runs meanwhile."""
    port = free_port()
    with log.open("wb") as written:
        server = subprocess.Popen(shlex.split(command.format(port=port)), stdout=written, stderr=written)
        try:
            wait(port, server)
            checked = medbench.export(
                ADAPTER,
                "gguf",
                type=kind,
                check=asked.benchmarks,
                limit=asked.limit,
                max_new_tokens=asked.max_new_tokens,
                data=asked.data,
                server=f"openai:{name}",
                base_url=f"http://127.0.0.1:{port}/v1",
            ).check
        finally:
            server.terminate()
            server.wait()
    assert checked is not None
    return checked


def _table(rows: list[tuple[str, CheckRow]]) -> str:
    lines = ["| benchmark | step | run | metric | value | original - this [95% CI] | p | changed | tokens/s | MB |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for step, row in rows:
        gap = "–" if row.difference is None else f"{row.difference:+.3f}"
        if row.low is not None and row.high is not None:
            gap += f" [{row.low:+.3f}, {row.high:+.3f}]"
        p = "–" if row.p is None else f"{row.p:.2f}"
        changed = "–" if row.changed is None else f"{row.changed} of {row.n}"
        speed = "–" if row.tokens_per_s is None else f"{row.tokens_per_s:.0f}"
        size = "–" if row.bytes is None else f"{row.bytes / 1e6:.0f}"
        lines.append(
            f"| {row.benchmark} | {step} | {row.run_id} | {row.metric} | {row.value:.3f} | {gap} | {p} | {changed} "
            f"| {speed} | {size} |"
        )
    return "\n".join(lines)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait(port: int, server: subprocess.Popen[bytes]) -> None:
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
