"""`medbench serve` as a process: evaluated over HTTP by medbench itself, and ended by signals."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import medbench as medbench_api
import pytest
import tiny
from medbench import Runs, evaluate
from medbench.core.types import Output
from served import MINE, Served, medbench, served

ANSWERS = ("accuracy", "ece", "brier", "rouge1", "rougeL", "disclaimer_rate", "unsafe_rate")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("process") / "tiny-served", "llama", window=2048)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with served(str(folder)) as running:
        yield running


@pytest.mark.parametrize("chat", ["auto", "never"])
def test_what_is_served_is_what_was_measured(server: Served, folder: Path, tmp_path: Path, chat: str) -> None:
    """The run over HTTP and the direct one choose the same options and write the same answers, item by item."""
    asked: Any = {"benchmarks": "medqa-sample,medquad-sample", "limit": 6, "max_new_tokens": 24, "chat": chat}
    direct = evaluate(str(folder), out=tmp_path / "direct", latency_items=0, **asked)
    over_http = evaluate(f"openai:{folder.name}", out=tmp_path / "served", base_url=f"{server.url}/v1", **asked)
    assert not direct.problems and not over_http.problems
    one, other = outputs(direct), outputs(over_http)
    assert len(one) == 12 and one.keys() == other.keys()
    for key, output in one.items():
        assert (other[key].text, other[key].finish) == (output.text, output.finish)
        if output.logprobs:
            assert other[key].logprobs == pytest.approx(output.logprobs, abs=1e-3)
    assert figures(over_http) == pytest.approx(figures(direct), abs=1e-4)
    assert len(figures(direct)) > 3


def outputs(runs: Runs) -> dict[tuple[str, str], Output]:
    """Every stored output by benchmark and item."""
    return {(run.manifest.benchmark.name, record.item.id): record.output for run in runs for record in run.records()}


def figures(runs: Runs) -> dict[str, float]:
    """The values of metrics that read answers, by benchmark and metric."""
    rows = runs.frame().to_dict("records")
    return {f"{row['benchmark']} {row['metric']}": row["value"] for row in rows if row["metric"] in ANSWERS}


def streaming(client: httpx.Client, tokens: int) -> Any:
    body = {"prompt": "fever", "max_tokens": tokens, "temperature": 1, "seed": 1, "min_tokens": tokens, "stream": True}
    return client.stream("POST", "/v1/completions", json=body)


def test_the_first_signal_finishes_what_runs(folder: Path) -> None:
    with served(str(folder), "--max-tokens", "1500") as server, server.client() as client:
        with streaming(client, 1500) as reply:
            lines = reply.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            host, _, port = server.url.removeprefix("http://").partition(":")
            pieces = [line for line in lines if line]
            assert pieces[-1] == "data: [DONE]"
            assert json.loads(pieces[-2].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
        assert server.process.wait(30) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=5)
        assert "Finishing 1 requests. Press Ctrl-C again to stop at once." in server.lines


def test_the_second_signal_stops_at_once(folder: Path) -> None:
    with served(str(folder), "--max-tokens", "1900", "--host", "0.0.0.0") as server, server.client() as client:
        assert any("WITHOUT A KEY" in line for line in server.lines)
        with streaming(client, 1900) as reply:
            lines = reply.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            while not any("Finishing" in line for line in server.lines):
                next(lines)
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.HTTPError):
                for _ in lines:
                    pass
        assert server.process.wait(30) == 1


def test_an_idle_server_ends_at_once(folder: Path) -> None:
    with served(str(folder)) as server, server.client() as client:
        client.get("/health")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0


def test_the_log_holds_no_text_unless_asked(folder: Path) -> None:
    secret, key = "zebra-7731", "k-4711"
    asked = ["--log-prompts", "--host", "0.0.0.0", "--api-key-env", "KEY"]
    for options, there in ([], False), (asked, True):
        with served(str(folder), *options, env=MINE | {"KEY": key}) as server, server.client() as client:
            client.headers["Authorization"] = f"Bearer {key}"
            assert client.post(f"/v1/completions?{secret}", json={"prompt": secret, "max_tokens": 2}).status_code == 200
            assert client.post("/ask", json={"question": secret, "max_tokens": 2}).status_code == 200
            assert client.post("/ask", json={"question": 5, secret: secret}).status_code == 400
            assert client.get(f"/{secret}").status_code == 404
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(30)
        log = "\n".join(server.lines)
        assert "POST /v1/completions 200" in log
        assert (secret in log, "with this key" in log) == (there, there)
        assert key not in log


def test_what_is_wrong_with_the_command_shows_before_the_model_loads(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = medbench("serve", str(folder), "--port", port)
    assert busy.returncode == 2 and port in busy.stderr and "--port 0" in busy.stderr
    unset = medbench("serve", str(folder), "--api-key-env", "NO_SUCH_KEY")
    assert unset.returncode == 2 and "NO_SUCH_KEY" in unset.stderr
    assert medbench("serve", "no-such-model").returncode in (1, 2)
    (tmp_path / "fastapi.py").write_text("raise ImportError('no fastapi here')")
    without = medbench("serve", str(folder), env=MINE | {"PYTHONPATH": str(tmp_path)})
    assert without.returncode == 1 and "pip install 'medbench[serve]'" in without.stderr
    assert "Traceback" not in busy.stderr + unset.stderr + without.stderr


def test_a_model_served_from_python(folder: Path) -> None:
    with (
        medbench_api.serve(folder, api_key="s3cret", max_tokens=3, chat="never") as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        assert client.get("/v1/models").status_code == 401
        client.headers["Authorization"] = "Bearer s3cret"
        assert client.get("/v1/models").json()["data"][0]["id"] == folder.name
        reply = client.post("/v1/completions", json={"prompt": "fever", "max_tokens": 4})
        assert (reply.status_code, "at most 3" in reply.text) == (400, True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health", trust_env=False)


def test_what_cannot_be_served_from_python(folder: Path) -> None:
    wrong: list[dict[str, Any]] = [{"api_key": "two words"}, {"queue": -1}, {"max_tokens": 0}, {"port": 65536}]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for given in [*wrong, {"timeout_s": 0}, {"port": taken.getsockname()[1]}]:
            with pytest.raises(medbench_api.UsageError), medbench_api.serve(folder, **given):
                pass
    with pytest.raises(medbench_api.UsageError, match="no-such-model"), medbench_api.serve("no-such-model"):
        pass
