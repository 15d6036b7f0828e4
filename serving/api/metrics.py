"""Counters of a server for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..batching.worker import Worker

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters of one server, in their own registry."""

    def __init__(self, worker: Worker) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("medbench_requests", "Requests answered.", ["path", "status"], registry=self.registry)
        self.tokens = Counter("medbench_tokens", "Tokens read and written.", ["kind"], registry=self.registry)
        self.seconds = Histogram(
            "medbench_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first_token = Histogram(
            "medbench_first_token_seconds",
            "Seconds from a streamed request to its first token.",
            buckets=SECONDS,
            registry=self.registry,
        )
        Gauge("medbench_queue", "Requests that wait.", registry=self.registry).set_function(lambda: worker.waiting)
        Gauge("medbench_batch", "Texts in the running batch.", registry=self.registry).set_function(
            lambda: worker.texts.working
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
