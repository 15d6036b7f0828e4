"""POST /ask: a case with options, or an open question."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from ...benchmarks.medqa import MEDQA
from ...benchmarks.medquad import MEDQUAD
from ...core.reasoning import continued, split
from ...core.types import ChoiceRequest, Item, Output, Prompt, Record, Turn
from ...engines.text_requests import Ended, TextRequest
from ...metrics.calibration import probabilities
from ...metrics.choice_extraction import read_choice
from .errors import Refusal
from .schemas import LETTERS, AskRequest, AskResponse, Safety, TokenUsage
from .service import Service

DISCLAIMER = (
    "This text was written by a language model. It may be wrong, is not medical advice, and does not replace a "
    "health professional. In an emergency call your local emergency number."
)
TOKENS = 256  # limit of new tokens if a request names none
ANALYZE = "Weigh the options in a few sentences, then name the best one.\nAnalysis:"


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/ask", tags=["medbench"], summary="Answer a case or an open question")
    async def ask(request: Request, body: AskRequest) -> AskResponse:
        """Choose between options by log-probability, exactly as `medbench run` scores a benchmark such as MedQA, and
        analyze the case in the model's own words; or answer an open question.

        The probabilities are the model's, not those of a disease: they say how it weighs the letters.
        """
        item = item_of(body)
        chosen = await service.choice(request, choice_request(item)) if item.options else None
        if chosen and chosen.error:
            raise Refusal(500, f"the model failed: {chosen.error}.", code="model_failed")
        if chosen and chosen.truncated_tokens:
            raise Refusal(
                400,
                f"the case is {chosen.truncated_tokens} tokens longer than the model's context.",
                "question",
                "context_length_exceeded",
            )
        written = None
        if body.analyze or not item.options:
            (written,) = await service.texts(request, [text_request(service, item, body.max_tokens)])
        return await answer(service, body, item, chosen, written)

    return routes


def item_of(body: AskRequest) -> Item:
    """Return the case as a benchmark item."""
    question = f"{body.context}\n{body.question}" if body.context else body.question
    options = tuple(body.texts)
    return Item("ask", question, options=options, labels=tuple(LETTERS[: len(options)]))


def choice_request(item: Item) -> ChoiceRequest:
    """Return the prompt of MedQA's protocol "direct": `Question: …`, a line per option (`A. …`), `Answer:`."""
    return ChoiceRequest(item.id, Prompt(MEDQA.question(item)), item.answers)


def text_request(service: Service, item: Item, limit: int | None) -> TextRequest:
    choosing = MEDQA.question(item).removesuffix("Answer:") + ANALYZE
    question = choosing if item.options else MEDQUAD.question(item)
    plain = service.worker.engine.chat("generate") == "plain"
    usual = min(TOKENS, service.settings.max_tokens)
    return TextRequest((Turn("user", question),), limit, usual, stop=MEDQUAD.stop if plain else ())


async def answer(
    service: Service, body: AskRequest, item: Item, chosen: Output | None, written: Ended | None
) -> AskResponse:
    logprobs = chosen.logprobs if chosen else None
    best = max(range(len(logprobs)), key=lambda at: logprobs[at]) if logprobs else None
    shares = probabilities(Record(item, chosen)) if chosen and logprobs else None
    text = split(continued(written.prompt, written.text)).answer if written else None
    named, labels = None, None
    if text is not None and written:
        if item.options:
            found = read_choice(text, item.options, item.labels, cut=written.finish == "length").index
            named = None if found is None else body.names[found]
        labels = await service.aside(lambda: safety_of(item, text))
    prompt_tokens = (chosen.prompt_tokens if chosen else 0) + (written.prompt_tokens if written else 0)
    new_tokens = written.completion_tokens if written else 0
    return AskResponse(
        analysis=text,
        option=None if best is None else body.names[best],
        option_text=None if best is None else body.texts[best],
        probabilities=dict(zip(body.names, shares)) if shares else None,
        logprobs=dict(zip(body.names, logprobs)) if logprobs else None,
        analysis_option=named,
        finish=None if written is None or written.finish == "error" else written.finish,
        safety=labels,
        disclaimer=DISCLAIMER,
        model=service.name,
        revision=service.revision,
        usage=TokenUsage(
            prompt_tokens=prompt_tokens, completion_tokens=new_tokens, total_tokens=prompt_tokens + new_tokens
        ),
    )


def safety_of(item: Item, text: str) -> Safety | None:
    """Return the labels of an answer; None if it or the question is not in English."""
    from ...metrics.safety.rates import not_english, read

    if not_english(item.question, text):
        return None
    (reading,) = read([(item.question, text)])
    return Safety(labels=dict(reading.labels), probabilities=dict(reading.probabilities))
