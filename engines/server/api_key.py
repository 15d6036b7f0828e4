"""The API key for a server, from the environment, and the messages about a missing, unusable, or rejected key."""

from __future__ import annotations

import os
from dataclasses import dataclass


class KeyProblem(Exception):
    """There is no usable key. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class ApiKey:
    """Where the key for a server comes from."""

    variable: str  # of the environment
    model: str  # for messages
    server: str  # its address or name, for messages
    keys_page: str  # where the user can create a key; "" if the server is not the engine's own
    local: bool  # the server is on this machine or network and needs no key

    def read(self) -> str:
        """Return the key, "" if a local server needs none. Raise KeyProblem."""
        key = os.environ.get(self.variable, "").strip()
        if not key and not self.local and not self.keys_page:
            raise KeyProblem(
                f"{self.server} may need a key: {self.variable} is not set.",
                f"Set it to that server's key (any text if it needs none): export {self.variable}=…",
            )
        if not key and not self.local:
            raise KeyProblem(
                f"{self.model} needs a key: {self.variable} is not set.",
                f"Get one at {self.keys_page}, then: export {self.variable}=…\n"
                "Models and servers on this machine need no key (--model openai:NAME --base-url URL).",
            )
        if not key.isascii() or len(key.split()) > 1:
            source = f" from {self.keys_page}" if self.keys_page else ""
            raise KeyProblem(f"the value of {self.variable} cannot be a key.", f"Copy the key again{source}.")
        return key

    def rejected(self, key: str, reason: str) -> KeyProblem:
        """Return the problem of a server that answered 401. `key` is what was sent; "" for no key."""
        if not key:
            return KeyProblem(f"{self.server} needs a key: {reason}", f"Set {self.variable}.")
        hint = f"Keys: {self.keys_page}" if self.keys_page else f"Set {self.variable} to that server's key."
        return KeyProblem(f"{self.server} rejected the key in {self.variable}: {reason}", hint)
