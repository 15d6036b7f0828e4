"""The engine for any server that speaks OpenAI's API: OpenAI, Ollama, vLLM, llama-server, hosted ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .engine import Endpoint, ServedEngine
from .replies import HttpReply

if TYPE_CHECKING:
    import httpx


class OpenAIEngine(ServedEngine):
    """Asks any server that speaks OpenAI's API: --model openai:NAME --base-url URL.

    The model's name there is `spec.location`, and the server is `spec.base_url`.
    """

    server = "OpenAI"
    home = standard_url = "https://api.openai.com/v1"
    url_variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"
    keys_at = "https://platform.openai.com/api-keys"

    _client: httpx.Client

    def _connect(self, key: str) -> None:
        from .http import client

        self._client = client(self.limits.timeout_s, self.local)
        self._client.base_url = self.spec.base_url.rstrip("/") + "/"
        if key:
            self._client.headers["Authorization"] = f"Bearer {key}"

    def _post(self, path: Endpoint, body: Mapping[str, Any]) -> HttpReply:
        import httpx

        from .http import unreachable

        try:
            response = self._client.post(path, json=dict(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(error, self.spec.base_url, self.local) from None
        return HttpReply(response.status_code, response.headers, response.text)
