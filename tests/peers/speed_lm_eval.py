"""lm-eval's side of tests/peers/speed.py: `simple_evaluate` over the rows as one task, only the model timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lm_eval
from lm_eval.models.huggingface import HFLM
from timed import Answer, Clock, Request, Row, quantization, serve, write_rows

TASK = "medbench_speed"


class LmEval:
    """lm-eval's transformers backend. Building the requests and computing the metrics are not timed, here as there."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.calls = 0
        self.clock: Clock | None = None
        side = self

        class Timed(HFLM):  # type: ignore[misc]
            def loglikelihood(self, *arguments: Any, **named: Any) -> Any:
                with side.clock or Clock(0, request.device):
                    return super().loglikelihood(*arguments, **named)

            def generate_until(self, *arguments: Any, **named: Any) -> Any:
                with side.clock or Clock(0, request.device):
                    return super().generate_until(*arguments, **named)

        model: Any = request.model
        if request.quantize:
            from transformers import AutoModelForCausalLM

            model = AutoModelForCausalLM.from_pretrained(
                model,
                quantization_config=quantization(request),
                device_map={"": request.device},
                dtype=request.dtype,
            )
        self.model = Timed(pretrained=model, tokenizer=request.model, device=request.device, dtype=request.dtype)
        self.facts: dict[str, Any] = {}

    def answer(self, rows: Sequence[Row], max_new_tokens: int, clock: Clock) -> list[Answer]:
        self.clock = clock
        self.calls += 1
        self.model.batch_size_per_gpu = clock.timing.batch_size
        file = write_rows(rows, Path(self.request.work) / f"rows-{self.calls}.jsonl")
        choosing = self.request.method == "choose"
        results = lm_eval.simple_evaluate(
            model=self.model,
            tasks=[self._task(file, max_new_tokens)],
            apply_chat_template=not choosing,
            bootstrap_iters=0,
        )
        answers = {}
        for sample in results["samples"][TASK]:
            prompt = sample["arguments"][0][0]
            if choosing:
                logprobs = tuple(float(logprob) for logprob, _ in sample["filtered_resps"])
                answers[sample["doc"]["id"]] = Answer(sample["doc"]["id"], prompt, logprobs)
            else:
                answers[sample["doc"]["id"]] = Answer(sample["doc"]["id"], prompt, text=sample["filtered_resps"][0])
        return [answers[row.id] for row in rows]

    def _task(self, file: Path, max_new_tokens: int) -> dict[str, Any]:
        task: dict[str, Any] = {
            "task": TASK,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(file)}, "cache_dir": str(file.parent / "cache")},
            "test_split": "test",
        }
        if self.request.method == "choose":
            return task | {
                "output_type": "multiple_choice",
                "doc_to_text": "prompt",
                "doc_to_choice": "options",
                "doc_to_target": "gold",
                "metric_list": [{"metric": "acc"}],
            }
        return task | {
            "output_type": "generate_until",
            "doc_to_text": "question",
            "doc_to_target": "",
            "generation_kwargs": {"until": [], "max_gen_toks": max_new_tokens, "do_sample": False},
            "metric_list": [{"metric": "bypass"}],
        }


if __name__ == "__main__":
    serve(LmEval)
