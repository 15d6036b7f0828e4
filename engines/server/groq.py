"""The engine for Groq, through its SDK. Groq has chat only and gives no log-probabilities."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...core.errors import UsageError
from ...core.secrets import masked
from ...core.types import ModelRequest, ModelSpec
from .engine import Endpoint, Limits, ServedEngine
from .replies import HttpReply

if TYPE_CHECKING:
    from groq import Groq

BASE_URL = "https://api.groq.com"
OPENAI_PATH = "/openai/v1"  # the SDK adds it to any address


class GroqEngine(ServedEngine):
    """Asks Groq, through its SDK: --model groq:NAME.

    The model's name there is `spec.location`. `spec.base_url` is "" or an address that the user named. GROQ_BASE_URL is
    not read, as the SDK would: the key goes to no address that the command does not name.
    """

    server = home = BASE_URL
    key_variable = "GROQ_API_KEY"
    keys_at = "https://console.groq.com/keys"
    limit_field = "max_completion_tokens"
    gives_logprobs = False

    _client: Groq

    @classmethod
    def resolve(cls, name: str, request: ModelRequest) -> ModelSpec:
        elsewhere = os.environ.get("GROQ_BASE_URL")
        if elsewhere and not request.base_url:
            request.tell(
                f"GROQ_BASE_URL is set to {masked(elsewhere)} but not used: {request.engine}:{name} is at Groq's "
                "own address. To send the key there: --base-url (for a judge: --judge-base-url)"
            )
        return super().resolve(name, request)

    def __init__(self, spec: ModelSpec, limits: Limits | None = None) -> None:
        if spec.chat == "never" or spec.prompt_format:
            raise UsageError(
                f"{spec.name}: Groq's models accept chats only.", "Leave out --chat never and prompt formats."
            )
        super().__init__(spec, limits)

    def _connect(self, key: str) -> None:
        from groq import Groq

        from .http import client

        http = client(self.limits.timeout_s, self.local)
        # medbench makes the retries, so that they are counted and stay within the budget.
        self._client = Groq(
            api_key=key or "none",
            base_url=self.spec.base_url.removesuffix(OPENAI_PATH) or BASE_URL,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
        )

    def _post(self, path: Endpoint, body: Mapping[str, Any]) -> HttpReply:
        import groq
        import httpx

        from .http import unreachable

        rest = {name: value for name, value in body.items() if name not in ("model", "messages")}
        create = self._client.chat.completions.with_raw_response.create
        try:
            response = create(model=body["model"], messages=body["messages"], extra_body=rest).http_response
        except groq.APIStatusError as error:
            response = error.response
        except groq.APIConnectionError as error:
            raise unreachable(error.__cause__, self._at, self.local) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(error, self._at, self.local) from None
        return HttpReply(response.status_code, response.headers, response.text)
