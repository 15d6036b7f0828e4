"""A model at a server, asked over HTTP: limited, retried, every request counted, keys removed from every reply.

A subclass says how one HTTP request is made (`_connect`, `_post`).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from ...core.budget import Budget, CapReached, Limits, Stopped, Usage
from ...core.errors import MedbenchError
from ...core.secrets import Mask
from ...core.types import ModelSpec
from .. import thinking
from . import replies
from .api_key import ApiKey, KeyProblem
from .rejected_fields import rejected, without
from .replies import Failed, HttpReply, Withheld

Endpoint = Literal["chat/completions", "completions"]

PATIENCE_S = 300.0  # if a server asks to wait longer, the run ends and can be resumed later
RETRIED = {408, 409, 425, 498}  # also 429, and everything from 500 except 501
REFUSED = {402, 403}  # also 401: the next request would be refused too
NOT_THERE = {404, 405, 410}  # the same
# Codes and types of errors that neither waiting nor another request fixes, whatever the status.
NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
NO_MODEL = {"model_not_found", "invalid_model", "unknown_model", "model_not_supported", "no_such_model"}
MISSED_SCHEMA = "json_validate_failed"  # Groq's 400 for what the model wrote, not for the request
PROXY_WANTS_PASSWORD = 407
LATE_RETRIES = 1  # after a timeout: each retry may take the full time again
LONG_WAIT_S = 5.0  # a longer one is announced


class Refused(MedbenchError):
    """The server refuses or cannot be reached, and further requests would fail too."""


class Client:
    """One model at one server. Making one sends nothing."""

    server = ""  # its name in messages
    home = ""  # the address of the server whose keys are at `keys_at`
    url_variable = ""  # the environment variable that may hold the address
    standard_url = ""  # the address if neither an option nor the variable gives one; "": the engine's own
    url_option = "--base-url"  # how the user names another server, for hints
    key_variable = ""
    keys_at = ""

    def __init__(self, spec: ModelSpec, limits: Limits | None = None) -> None:
        self.spec = spec
        self.usage = Usage()
        self.budget = Budget(limits or Limits(), self.usage)
        self.backoff_s = (0.5, 30.0)  # the first wait after a failure and the longest; each is twice the one before
        self.tell: Callable[[str], None] = lambda line: None  # gets one line for each long wait and rejected field
        self._key = ""
        self._mask = Mask()
        self._connected = False
        self._answered = 0  # replies other than "try again later"
        self.rejected_fields: frozenset[str] = (
            frozenset()
        )  # fields that the server has rejected: they are no longer sent
        self._resumes_at = 0.0  # when the announced wait ends
        self._schema_tried = False  # whether a request that needs a schema was answered, with the schema or without
        self._first_schema = threading.Lock()
        self._kinds_tried: set[tuple[str, ...]] = set()  # address and fields of requests that were sent
        self._first_of_kind = threading.Lock()
        self._rejecting = threading.Lock()

    @property
    def limits(self) -> Limits:
        return self.budget.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.budget = Budget(limits, self.usage)
        self._connected = False  # the client was made with the time limit

    @property
    def blocked_cost(self) -> float:
        """USD: the least that the cheapest request prevented by the cap on cost would have cost."""
        return self.budget.too_dear

    def report_to(self, tell: Callable[[str], None]) -> None:
        self.tell = tell

    @property
    def local(self) -> bool:
        """Whether the server is on this machine or network: it needs no key, and requests cost nothing."""
        return is_local(self.spec.base_url)

    @property
    def usual(self) -> bool:
        """Whether this is the provider that the engine is named after, whose keys are at `keys_at`."""
        return not self.spec.base_url or urlsplit(self.spec.base_url).netloc == urlsplit(self.home).netloc

    def load(self) -> None:
        """Find the key and make the client, without a request. Raises Refused if a required key is missing."""
        if self._connected:
            return
        try:
            self._key = self._api_key.read()
        except KeyProblem as problem:
            raise Refused(str(problem), problem.hint) from None
        self._mask = Mask(self._key)
        from .http import Unreachable

        try:
            self._connect(self._key)
        except Unreachable as error:
            raise self._refused(str(error), error.hint) from None
        self._connected = True

    def scrubbed(self, text: str) -> str:
        """Return `text` without the key and anything that looks like one."""
        return self._mask(text)

    def _refused(self, message: str, hint: str) -> Refused:
        return Refused(self.scrubbed(message), hint)

    @property
    def _at(self) -> str:
        return self.spec.base_url or self.server

    @property
    def _api_key(self) -> ApiKey:
        keys_page = self.keys_at if self.usual else ""
        return ApiKey(self.key_variable, self.spec.name, self._at, keys_page, self.local)

    def _connect(self, key: str) -> None:
        """Create the HTTP client. `key` is "" if there is none."""
        raise NotImplementedError

    def _post(self, path: Endpoint, body: Mapping[str, Any]) -> HttpReply:
        """Make one HTTP request. Raises Unreachable if no complete reply arrived."""
        raise NotImplementedError

    def _ask(self, path: Endpoint, body: dict[str, Any], stop: threading.Event) -> HttpReply:
        """Return a successful reply. Raises Failed, Refused, CapReached or Stopped."""
        reply = self._send(path, body, stop, self.limits.retries)
        if not reply.fine:
            raise self._failure(reply)
        return reply

    def _send(self, path: Endpoint, body: dict[str, Any], stop: threading.Event, retries: int) -> HttpReply:
        """Return the reply, if necessary to a request without the fields that the server rejects."""
        kind = (path, *body)
        if "response_format" in body and not self._schema_tried:
            # One at a time until this is known: of many at once, all would be rejected, and all would count.
            with self._first_schema:
                if not self._schema_tried:
                    reply = self._send_or_less(path, body, stop, retries)
                    self._schema_tried = reply.fine
                    self._kinds_tried.add(kind)
                    return reply
        if kind not in self._kinds_tried:
            # The first of its kind goes alone: what the server rejects in it is then rejected once.
            with self._first_of_kind:
                if kind not in self._kinds_tried:
                    try:
                        return self._send_or_less(path, body, stop, retries)
                    finally:
                        self._kinds_tried.add(kind)
        return self._send_or_less(path, body, stop, retries)

    def _send_or_less(self, path: Endpoint, body: dict[str, Any], stop: threading.Event, retries: int) -> HttpReply:
        left_out, learned = frozenset[str](), frozenset[str]()
        while True:
            asked = without(body, self.rejected_fields | left_out)
            try:
                reply = self._exchange(path, asked, stop, retries)
            except CapReached:
                # Too late to test whether it answers without a schema. If it never accepted one, assume it does not:
                # otherwise a cap of one call would be spent on the same rejection every time.
                if not self._schema_tried:
                    self.rejected_fields |= learned
                raise
            names = rejected(reply, asked, self._fixed) - left_out
            if not names:
                if reply.fine and learned - self.rejected_fields:
                    self._learn(learned)
                return reply
            left_out |= names
            if replies.server_error(reply).code != MISSED_SCHEMA:
                learned |= names

    def _learn(self, names: frozenset[str]) -> None:
        with self._rejecting:
            new = names - self.rejected_fields
            self.rejected_fields |= names
        if told := sorted(new - {"response_format", "min_tokens"}):  # callers that send a schema report that themselves
            self.tell(f"{self.spec.name}: the server rejects {', '.join(told)}; left out from now on")

    @property
    def _fixed(self) -> frozenset[str]:
        """Return the model's own settings, which may not be omitted. A seed does not change greedy answers."""
        return frozenset(name for name, value in self.spec.generation.items() if value is not None) - {"seed"}

    def _exchange(self, path: Endpoint, body: Mapping[str, Any], stop: threading.Event, retries: int) -> HttpReply:
        """Return the reply after at most `retries` retries; an error reply if they are used up or would not help.

        Raises Failed if no reply came, Refused if none ever will, CapReached or Stopped if the request was not sent.
        """
        from .http import Unreachable, within

        expected = _estimate(body)
        problem, spent, answered = "", 0, self._answered
        while True:
            try:
                ticket = self.budget.enter(*expected, stop)
            except CapReached as cap:
                raise Failed(f"{problem}; not asked again: {cap}") if problem else cap from None
            reply, broken, final, rest, started = None, None, False, 0.0, time.monotonic()
            try:
                whole = replies.received(within(self.limits.timeout_s, lambda: self._post(path, body)), self._mask)
                reply = dataclasses.replace(whole, seconds=time.monotonic() - started)
                final = not passing(reply) or bool(rejected(reply, body, self._fixed))
                if not final:
                    rest = self._rest(reply, spent)  # now, before another request can take its place
            except Unreachable as error:
                broken, rest = error, self._rest(None, spent)
            finally:
                self.budget.leave(
                    ticket,
                    replies.usage(reply) if reply and reply.fine else None,
                    billed=reply.fine if reply else broken is None or broken.connected,
                    throttled=reply is not None and reply.status == 429,
                    reached=broken.connected if broken else reply is None or reply.status != PROXY_WANTS_PASSWORD,
                )
            if reply is not None and final:
                self._answered += 1
                return reply
            if broken and (broken.final or not (broken.connected or self._answered)):
                raise self._refused(f"no server answers at {self._at}: {broken}", broken.hint or self._unreached())
            if broken and broken.unusable:
                self._answered += 1
                raise Failed(str(broken))
            problem = str(broken) if reply is None else str(self._failure(reply))
            if reply is not None and reply.status == 429 and self._answered > answered:
                answered = self._answered  # others got through, so this one will, too
            else:
                spent += 1
            if spent > (min(retries, LATE_RETRIES) if broken and broken.late else retries):
                break
            if stop.wait(rest):
                raise Stopped
        if reply is None:
            raise Failed(f"{problem} ({spent} times)")
        return reply

    def _unreached(self) -> str:
        """Return what to do if there is no connection."""
        if self.local:
            return f"Start it, or name another server: {self.url_option} URL"
        if self.usual:
            return "Is this machine online? The same command tries again."
        return f"Is the address right, and is this machine online? Another address: {self.url_option} URL"

    def _rest(self, reply: HttpReply | None, attempt: int) -> float:
        """Return the seconds to wait before retrying. A wait that the server asks for applies to all requests.

        Raises Refused if it asks for more than PATIENCE_S.
        """
        first, longest = self.backoff_s
        asked = replies.wait_asked(reply.headers, datetime.now(UTC)) if reply else None
        if reply and asked and asked > PATIENCE_S:
            words = replies.server_error(reply).message
            raise self._refused(
                f"{self._at} accepts no requests for {_span(asked)}: {words}",
                "Answers so far are stored: the same command continues from there.",
            )
        wait = asked or min(longest, first * 2**attempt) * random.uniform(0.5, 1.0)
        if asked or (reply and reply.status == 429):
            self._announce(wait)
            self.budget.pause(wait)
            return 0.0
        return wait

    def _announce(self, wait: float) -> None:
        """Announce a long wait once."""
        now = time.monotonic()
        if wait >= LONG_WAIT_S and now + wait > self._resumes_at + LONG_WAIT_S:
            self._resumes_at = now + wait
            self.tell(f"{self.spec.name}: the server asks to wait {wait:.0f} s")

    def _failure(self, reply: HttpReply) -> Failed | Refused:
        """Return the error that a failed reply means: for this request, or for all of them."""
        told = replies.server_error(reply)
        words, at = told.message, self._at
        if withheld := replies.refusal(reply):
            return Withheld(withheld)
        if NO_CREDIT & {told.code, told.kind}:
            return self._refused(f"{at} has no credit for this key: {words}", "Add credit there, or set another key.")
        if reply.status == PROXY_WANTS_PASSWORD:
            from .http import PROXY_HINT, proxy_variable

            proxy = proxy_variable(at) or "the environment"
            return self._refused(f"the proxy in {proxy} refused the request (407): {words}", PROXY_HINT)
        if reply.status == 401:
            problem = self._api_key.rejected(self._key, words)
            return self._refused(str(problem), problem.hint)
        if reply.status in NOT_THERE or NO_MODEL & {told.code, told.kind}:
            return self._refused(
                f"{at} has no model '{self.spec.location}', or no such address: {words}",
                f"It lists its models at {at}/models. A base URL usually ends in /v1.",
            )
        if reply.status in REFUSED:
            return self._refused(
                f"{at} refuses {self.spec.location} ({reply.status}): {words}", "Ask for another model there."
            )
        if 300 <= reply.status < 400:
            there = reply.headers.get("location", "nowhere")
            return self._refused(f"{at} sends one on to {there}.", f"Give that: {self.url_option}")
        asked = thinking.asked(self.spec)
        if asked and reply.status in (400, 422) and thinking.is_named(words, self.spec, self.home):
            return self._refused(f"{at} rejects {asked}: {words}", "Leave it out, or give another value.")
        if reply.status == 400 and "temperature" in words:
            words += ' (a zoo entry with generation={"temperature": None} sends none)'
        said = f"200 with an error ({reply.status})" if reply.inside else str(reply.status)
        return Failed(f"the server answered {said}: {words}", answered=not passing(reply))


def is_local(base_url: str) -> bool:
    """Return whether a server is on this machine or its network. "", the engine's own server, is not."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def passing(reply: HttpReply) -> bool:
    """Return whether the same request may succeed later."""
    if reply.status == 429:
        told = replies.server_error(reply)
        return not NO_CREDIT & {told.code, told.kind}
    return reply.status in RETRIED or (reply.status >= 500 and reply.status != 501)


def _span(seconds: float) -> str:
    """ "60 minutes", "23 hours", "11,574 days"."""
    for size, unit, most in ((60, "minutes", 120), (3600, "hours", 48)):
        if seconds < size * most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:,.0f} days"


def _estimate(body: Mapping[str, Any]) -> tuple[int, int]:
    """Estimate the prompt tokens, and return the most new tokens, before the server has counted them."""
    prompt = body.get("prompt", "")
    texts = [
        *(turn["content"] for turn in body.get("messages", ())),
        *([prompt] if isinstance(prompt, str) else prompt),
    ]
    characters = sum(map(len, texts))
    new = body.get("max_tokens") or body.get("max_completion_tokens") or 0
    return characters // replies.CHARACTERS_PER_TOKEN + 1, int(new)
