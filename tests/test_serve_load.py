"""`medbench serve` under load: nothing lost or mixed up, no memory kept, a clean end.

The short version runs in CI. `pytest -m slow tests/test_serve_load.py` also looks at memory, over 2,000 requests.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import tiny
from medbench.core.types import ModelSpec
from medbench.engines.hf.engine import TransformersEngine
from medbench.serving.api.server import serving
from medbench.serving.api.settings import ServerSettings
from served import MINE, Served, served

CLIENTS = 32
WARM_UP = 2_400  # requests until allocators and oneDNN's cache of kernels have most of what they keep
KEPT = 32 << 20  # bytes that 2,000 more may add: 16 KB each, less than any of them has keys and values
PROMPTS = (
    "fever",
    "cough in a child",
    "yes no maybe aspirin heparin",
    "Rest, fluids and paracetamol; see a doctor. " * 3,
)
CHAT, TEXT, ASK = "/v1/chat/completions", "/v1/completions", "/ask"
REQUESTS = range(160)  # every kind with every prompt, in five lengths


def request(number: int) -> tuple[str, dict[str, Any], str]:
    """Where to, what, and what is expected: "answer", "refusal", or "nothing" of a client that leaves early."""
    prompt, tokens = PROMPTS[number % len(PROMPTS)], 1 + number % 23
    said = [{"role": "user", "content": prompt}]
    kinds: list[tuple[str, dict[str, Any], str]] = [
        (CHAT, {"messages": said, "max_tokens": tokens}, "answer"),
        (CHAT, {"messages": said, "max_tokens": tokens, "stream": True}, "answer"),
        (TEXT, {"prompt": prompt, "max_tokens": tokens, "temperature": 1, "seed": number % 5}, "answer"),
        (TEXT, {"prompt": [prompt, "A"], "max_tokens": 0, "echo": True, "logprobs": 1}, "answer"),
        (ASK, {"question": f"{prompt} {number}", "options": ["x", "y", "z"], "analyze": False}, "answer"),
        (TEXT, {"prompt": prompt, "max_tokens": -1}, "refusal"),
        (CHAT, {"messages": [{"role": "user", "content": "fever " * 3000}]}, "refusal"),
        (CHAT, {"messages": said, "max_tokens": 900, "temperature": 1, "stream": True}, "nothing"),
    ]
    return kinds[number // len(PROMPTS) % len(kinds)]


async def send(client: httpx.AsyncClient, path: str, body: dict[str, Any], leaves: bool = False) -> tuple[int, Any]:
    """Status and what was said, without what differs from reply to reply or by rounding."""
    async with client.stream("POST", path, json=body) as reply:
        if leaves:
            async for _ in reply.aiter_bytes():
                return 0, None
        await reply.aread()
    if reply.headers["content-type"].startswith("text/event-stream"):
        lines = reply.text.split("\n\n")
        assert lines[-2] == "data: [DONE]", reply.text[-500:]
        return reply.status_code, [line[line.index('"choices"') :] for line in lines[:-2]]
    return reply.status_code, said(reply.json())


def said(body: dict[str, Any]) -> Any:
    if "choices" in body:
        return [choice.get("text") or choice.get("message") for choice in body["choices"]]
    if "option" in body:
        return body["option"], {name: round(share, 3) for name, share in body["probabilities"].items()}
    return body["error"]["message"]


async def load(url: str, numbers: list[int]) -> list[tuple[int, Any]]:
    """Every request's outcome, CLIENTS at a time."""
    room = asyncio.Semaphore(CLIENTS)
    limits = httpx.Limits(max_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False, limits=limits) as client:

        async def one(number: int) -> tuple[int, Any]:
            path, body, expected = request(number)
            async with room:
                return await send(client, path, body, leaves=expected == "nothing")

        return await asyncio.gather(*map(one, numbers))


def one_by_one(server: Served, numbers: list[int]) -> dict[int, tuple[int, Any]]:
    async def all_of_them() -> dict[int, tuple[int, Any]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=300, trust_env=False) as client:
            return {number: await send(client, *request(number)[:2]) for number in numbers}

    return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("load") / "tiny-load", "llama", window=1024)


@pytest.mark.parametrize("count", [320, pytest.param(2_000, marks=pytest.mark.slow)])
def test_nothing_is_lost_and_nothing_is_kept(folder: Path, count: int) -> None:
    few_kernels = MINE | {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8"}  # it keeps 1,024 else, one for each shape
    with served(str(folder), "--queue", "64", env=few_kernels) as server, server.client() as client:
        right = one_by_one(server, [number for number in REQUESTS if request(number)[2] != "nothing"])
        memory = psutil.Process(server.process.pid).memory_info
        settled = 0
        for part in range(0, WARM_UP * (count > 320) + count, len(REQUESTS)):
            numbers = random.Random(part).sample(REQUESTS, len(REQUESTS))
            if part >= WARM_UP:
                settled = settled or memory().rss
            found = asyncio.run(load(server.url, numbers))
            for number, outcome in zip(numbers, found, strict=True):
                expected = request(number)[2]
                if expected != "nothing":
                    assert outcome == right[number], request(number)
                    assert outcome[0] == (200 if expected == "answer" else 400)
        if settled:
            assert memory().rss - settled < KEPT
        assert client.get("/health").json()["waiting"] == 0
        assert "medbench_batch 0.0" in client.get("/metrics").text
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


@pytest.mark.slow
def test_requests_leave_no_objects_behind(folder: Path) -> None:
    """In this process, where they can be counted: 480 more requests of all kinds, no more objects."""
    engine = TransformersEngine(ModelSpec("tiny", str(folder), "r1", device="cpu"))
    counts = []
    with serving(engine, ServerSettings(queue=64)) as url:
        for part in range(6):
            asyncio.run(load(url, random.Random(part).sample(REQUESTS, len(REQUESTS))))
            with httpx.Client(base_url=url, trust_env=False) as client:
                while "medbench_batch 0.0" not in client.get("/metrics").text:
                    pass
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert max(counts[3:]) - min(counts[1:3]) < 160, counts


def test_a_stop_under_load_loses_no_request_that_was_taken(folder: Path) -> None:
    numbers = [number for number in REQUESTS if request(number)[2] == "answer" and request(number)[0] != ASK]
    with served(str(folder)) as server:

        async def stopped() -> list[tuple[int, Any] | BaseException]:
            limits = httpx.Limits(max_connections=64, max_keepalive_connections=0)
            async with httpx.AsyncClient(base_url=server.url, timeout=300, trust_env=False, limits=limits) as client:
                asked = [asyncio.ensure_future(send(client, *request(number)[:2])) for number in numbers]
                await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                server.process.send_signal(signal.SIGTERM)
                return await asyncio.gather(*asked, return_exceptions=True)

        found = asyncio.run(stopped())
        assert server.process.wait(60) == 0
    # Taken and answered, refused in words, or never taken: a connection that was not accepted or that had sent nothing.
    kinds = Counter(one[0] if isinstance(one, tuple) else type(one) for one in found)
    assert kinds.keys() <= {200, 503, httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError}, kinds
    assert kinds[200] > 0
