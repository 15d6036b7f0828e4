"""The FastAPI application of one model."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from . import ask, docs_page, openai
from .errors import Refusal, invalid
from .guard import Guard
from .service import Service

ABOUT = "A language model that answers medical questions, for research. It is not a medical device."


def make(service: Service, version: str) -> FastAPI:
    """Return the application for a service whose worker is running."""
    app = FastAPI(title="medbench", version=version, description=ABOUT, docs_url=None, redoc_url=None)
    app.include_router(ask.router(service))
    app.include_router(openai.router(service))
    app.add_middleware(Guard, settings=service.settings, metrics=service.metrics)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether the model is ready")
    async def health() -> JSONResponse:
        worker = service.worker
        status = "closing" if service.closing else "ok" if worker.alive else "the engine has stopped"
        body: dict[str, Any] = {"status": status, "model": service.name, "waiting": worker.waiting}
        return JSONResponse(body, 200 if status == "ok" else 503)

    @app.get("/metrics", summary="Counters, for Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        policy = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
        return HTMLResponse(docs_page.page(app.openapi(), service.name), headers={"Content-Security-Policy": policy})

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return refusal.response()

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, error: RequestValidationError) -> Response:
        return invalid(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        place = f"{request.method} {request.url.path}"
        takes = (error.headers or {}).get("Allow", "another method")
        there = {404: f"no such address: {place}. See /docs.", 405: f"{place}: this address takes {takes}."}
        message = there.get(error.status_code, str(error.detail))
        return Refusal(error.status_code, message, headers=error.headers).response()

    return app
