"""The file of one judge's replies: a header, then one reply per line, sealed and flushed to disk one by one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.durable import make_folder, refuse_link, replace_file
from ..core.errors import MedbenchError
from ..core.seals import Chain
from ..results.files import LineFile, Lock, chain_at_end, remedy, sealed_lines, set_aside, tell, to_json
from ..results.judgments import JudgeHeader, JudgeReply


class Replies:
    """The file of one judge's replies, open to append and locked while the `with` block lasts."""

    def __init__(self, path: Path, header: JudgeHeader, what: str, chain: Chain) -> None:
        self.path = path
        self.chain = chain  # of an empty file
        self.header = header
        self.stored: dict[str, JudgeReply] = {}  # replies on the disk, by item id
        self._learned: tuple[Sequence[str], Mapping[str, str]] = ((), {})
        self._lock = Lock(path.with_suffix(".lock"), what)
        self._file: LineFile | None = None

    def __enter__(self) -> Replies:
        with self._telling():
            refuse_link(self.path.parent)
            make_folder(self.path.parent)
            self._lock.acquire(wait=True)
            try:
                self._repair()
                self._file = LineFile(self.path, chain_at_end(self.path, replace(self.chain)))
                if not self._file.size:
                    self._file.append([self.header.as_json()])
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            # Otherwise the next command would request one reply too many.
            with contextlib.suppress(OSError, ValueError):
                self._keep_learned()
        self._lock.release()

    def _repair(self) -> None:
        """Remove replies that were changed or damaged. The file as it was is kept beside the new one."""
        lines = list(sealed_lines(self.path, replace(self.chain)))
        if not lines or lines[0].problem or not any(line.problem for line in lines):
            return  # reading the file reports what is wrong with its header
        kept = set_aside(self.path, copy=True)
        self._rewrite([line.body for line in lines if not line.problem])
        lost = sum(bool(line.problem) for line in lines)
        tell(f"{self.path}: {lost} changed or damaged replies are asked for again. The file is kept as {kept.name}.")

    def _keep_learned(self) -> None:
        header, *rest = [line.body for line in sealed_lines(self.path)]
        stored = json.loads(header)
        refuses, failures = self._learned
        known = JudgeHeader.from_json(stored)
        new = replace(known, refuses=tuple(refuses), failures=failures, missing=known.missing | {"refuses", "failures"})
        if new.as_json() != stored:
            self._rewrite([to_json(new.as_json()), *rest])

    def _rewrite(self, bodies: list[bytes]) -> None:
        chain = replace(self.chain)
        replace_file(self.path, b"".join(map(chain.add, bodies)))

    def learned(self, refuses: Sequence[str], failures: Mapping[str, str]) -> None:
        """Record in the header which fields the server rejects, and why replies are missing."""
        self._learned = refuses, failures

    def append(self, reply: JudgeReply) -> None:
        """Store a reply. It is on the disk when this returns, because it was paid for."""
        assert self._file is not None, "used in a with block"
        with self._telling():
            self._file.append([reply.as_json()])
        self.stored[reply.output.item_id] = reply

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MedbenchError(
                f"{self.path} cannot be written: {error.strerror or error}. {len(self.stored)} replies are stored and "
                "safe.",
                f"{remedy(error)}, then run the same command again.",
            ) from error
