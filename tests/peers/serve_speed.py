"""Requests per second and latency of `medbench serve` beside llama.cpp's server, on the same weights. Run by hand.

    python tests/peers/serve_speed.py --model smollm2-135m --file smollm2.F16.gguf

Both servers run at the same time and are asked in turns, one round of each after the other, so that what else the
machine does falls on both. In a round, CLIENTS clients send one chat after the other, with the same questions and
at most TOKENS new tokens, until all of the round's requests are answered. The table has the median over the rounds of
requests per second and of the 95th percentile of seconds per request, and the ratio of the two servers within a round:
its median, lowest and highest. `--server` is the command of the other server, with {file} and {port} in it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from export_chain import free_port, wait

MEDBENCH = f"{sys.executable} -m medbench serve {{model}} --dtype {{dtype}} --port {{port}} --queue 256"
LLAMA_CPP = f"{sys.executable} -m llama_cpp.server --model {{file}} --port {{port}} --n_ctx 2048"
QUESTIONS = ("anemia", "asthma", "gout", "glaucoma", "psoriasis", "migraine", "sepsis", "scurvy")


async def one(client: httpx.AsyncClient, number: int, tokens: int) -> tuple[float, int]:
    """Ask one question, and return its seconds and its new tokens."""
    disease = QUESTIONS[number % len(QUESTIONS)]
    body = {
        "messages": [{"role": "user", "content": f"What are the symptoms and the treatment of {disease}?"}],
        "max_tokens": tokens,
        "temperature": 0,
    }
    begun = time.perf_counter()
    reply = await client.post("/v1/chat/completions", json=body)
    reply.raise_for_status()
    return time.perf_counter() - begun, reply.json()["usage"]["completion_tokens"]


async def round_of(url: str, clients: int, requests: int, tokens: int) -> tuple[float, float, float]:
    """Return requests per second, new tokens per second, and the 95th percentile of seconds per request."""
    waiting = iter(range(requests))
    found: list[tuple[float, int]] = []
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=600, trust_env=False, limits=limits) as client:

        async def work() -> None:
            for number in waiting:
                found.append(await one(client, number, tokens))

        begun = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(clients)))
        seconds = time.perf_counter() - begun
    latencies = sorted(second for second, _ in found)
    p95 = latencies[min(len(latencies) - 1, round(0.95 * (len(latencies) - 1)))]
    return requests / seconds, sum(new for _, new in found) / seconds, p95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="what `medbench serve` serves")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--file", required=True, help="the same weights as GGUF")
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--least", type=int, default=8, help="requests of a round, or one for each client if more")
    parser.add_argument("--tokens", type=int, default=16, help="most new tokens of an answer")
    parser.add_argument("--server", default=LLAMA_CPP)
    asked = parser.parse_args()
    commands = {
        "medbench": MEDBENCH.format(model=asked.model, dtype=asked.dtype, port="{port}"),
        "llama.cpp": asked.server.replace("{file}", asked.file),
    }
    ports = {name: free_port() for name in commands}
    with tempfile.TemporaryDirectory() as logs:
        running = []
        try:
            for name, command in commands.items():
                with (Path(logs) / name).open("wb") as log:
                    process = subprocess.Popen(
                        shlex.split(command.format(port=ports[name])), stdout=log, stderr=log, env=os.environ
                    )
                running.append(process)
                wait(ports[name], process)
                asyncio.run(round_of(f"http://127.0.0.1:{ports[name]}", 2, 2, 2))  # warm-up
            print("| clients | server | requests/s | tokens/s | p95, s |\n|---|---|---|---|---|", flush=True)
            for clients in map(int, asked.clients.split(",")):
                measure(asked, ports, clients)
            print("load of the machine:", *(f"{load:.1f}" for load in os.getloadavg()), flush=True)
        finally:
            for process in running:
                process.terminate()
                process.wait()


def measure(asked: argparse.Namespace, ports: dict[str, int], clients: int) -> None:
    """Ask both servers in turns, and print a line of each and one of their ratios."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ports}
    for number in range(asked.rounds):
        order = list(ports) if number % 2 == 0 else list(ports)[::-1]
        for name in order:
            url = f"http://127.0.0.1:{ports[name]}"
            found[name].append(asyncio.run(round_of(url, clients, max(clients, asked.least), asked.tokens)))
    for name, rounds in found.items():
        middle = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print(f"| {clients} | {name} | {middle[0]:.2f} | {middle[1]:.1f} | {middle[2]:.2f} |")
    ours, theirs = found.values()
    cells = []
    for column in range(3):
        ratios = sorted(a[column] / b[column] for a, b in zip(ours, theirs, strict=True))
        cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"| {clients} | ratio | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
