"""The protocols that several benchmarks share: `cot` and `mirage-cot` for choices, `patient` for open questions."""

from __future__ import annotations

import json

from ..core.item import Item
from ..core.protocol import Protocol
from .letters import listed

BUDGET = 2_048  # new tokens for reasoning and answer
_CUE = "Answer:"  # the last words of a prompt that asks for the answer at once


def _cot_instruction(own: str, item: Item) -> str:
    if item.labels:
        what = ", where X is the letter of one option"
    elif item.options:
        *others, last = item.options
        what = f", where X is {', '.join(others)} or {last}"
    else:
        what = ""  # the question says in what form
    task = (
        "Reason step by step before you answer. Then finish with one line that gives the answer and nothing else, in "
        f'the form "Answer: X"{what}.'
    )
    return f"{own}\n{task}" if own else task


def _cot_question(own: str, item: Item) -> str:
    return f"{own.removesuffix(_CUE).rstrip()}\nReasoning:"


def _cot_answer(own: str, item: Item) -> str:
    reasoned = item.options and item.references
    return f"{item.references[0]}\n{_CUE} {own}" if reasoned else f"{_CUE} {own}"


COT = Protocol(
    name="cot",
    summary="The model reasons first and ends with one line, `Answer: X`.",
    instruction=_cot_instruction,
    question=_cot_question,
    answer=_cot_answer,
    method="generate",
    max_new_tokens=BUDGET,
    stop=("\nQuestion:", "\nAbstract:"),
)


def _mirage_question(own: str, item: Item) -> str:
    return (
        f"Here is the question:\n{item.question}\n\nHere are the potential choices:\n{listed(item)}\n\n"
        "Please think step-by-step and generate your output in json:"
    )


def _mirage_answer(own: str, item: Item) -> str:
    thinking = {"step_by_step_thinking": item.references[0]} if item.references else {}
    return json.dumps(thinking | {"answer_choice": item.answers[item.gold or 0]}, ensure_ascii=False)


# The zero-shot prompt of MIRAGE, word for word: Guangzhi Xiong, Qiao Jin, Zhiyong Lu and Aidong Zhang. Benchmarking
# retrieval-augmented generation for medicine. Findings of ACL 2024, pp. 6233-6251. arXiv:2402.13178
MIRAGE_COT = Protocol(
    name="mirage-cot",
    summary=(
        "As in MIRAGE (Xiong et al. 2024): the reply is a JSON object with `step_by_step_thinking` and "
        "`answer_choice`. The question is asked without its context, and every option has a letter."
    ),
    system=(
        "You are a helpful medical expert, and your task is to answer a multi-choice medical question. Please first "
        "think step-by-step and then choose the answer from the provided options. Organize your output in a json "
        'formatted as Dict{"step_by_step_thinking": Str(explanation), "answer_choice": Str{A/B/C/...}}. Your responses '
        "will be used for research purposes only, so please have a definite answer."
    ),
    instruction=lambda own, item: "",
    question=_mirage_question,
    answer=_mirage_answer,
    method="generate",
    max_new_tokens=BUDGET,
    stop=("\nHere is the question:",),
    letters=True,
    answer_field="answer_choice",
)

PATIENT = Protocol(
    name="patient",
    summary="An answer in plain language for a person without medical training.",
    instruction=lambda own, item: "\n".join(filter(None, (own, _FOR_PATIENTS))),
    method="generate",
)
_FOR_PATIENTS = (
    "Answer for a patient who has no medical training. Use everyday words and short sentences, explain every medical "
    "term that you cannot avoid, and say what the patient should do and when to see a doctor."
)

CHOICE = (COT, MIRAGE_COT)  # of every multiple-choice benchmark
OPEN = (PATIENT,)  # of every benchmark with open questions
NAMES = ("direct", *(protocol.name for protocol in (*CHOICE, *OPEN)))
