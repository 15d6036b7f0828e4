"""The file of one judge's replies: a header, then one reply per line, sealed and on the disk as each one comes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.durable import make_folder, refuse_link, replace_file
from ..core.errors import MedbenchError
from ..core.seals import Chain
from ..results.files import LineFile, Lock, chain_at_end, remedy, sealed_lines, set_aside, tell, to_json
from ..results.store import Reply, encode_reply


class Replies:
    """The file of one judge's replies, open to append and locked while the `with` block lasts."""

    def __init__(self, path: Path, header: dict[str, Any], what: str, chain: Chain) -> None:
        self.path = path
        self.chain = chain  # of an empty file
        self.header = header
        self.stored: dict[str, Reply] = {}  # those that are on the disk, by item_id
        # What the header keeps: the fields that the server rejects, for the next command; why replies are missing.
        self.learned: dict[str, Any] = {}
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
                    self._file.append([self.header])
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            # Without it the next command would ask once more than it needs to.
            with contextlib.suppress(OSError, ValueError):
                self._keep_learned()
        self._lock.release()

    def _repair(self) -> None:
        """Replies that are not as they were stored leave the file, which is kept as it is now beside the new one."""
        lines = list(sealed_lines(self.path, replace(self.chain)))
        if not lines or lines[0].problem or not any(line.problem for line in lines):
            return  # whoever reads the file says what is wrong with its head
        kept = set_aside(self.path, copy=True)
        self._rewrite([line.body for line in lines if not line.problem])
        lost = sum(bool(line.problem) for line in lines)
        tell(f"{self.path}: {lost} changed or damaged replies are asked for again. The file is kept as {kept.name}.")

    def _keep_learned(self) -> None:
        header, *rest = [line.body for line in sealed_lines(self.path)]
        told = json.loads(header)
        new = {name: value for name, value in (told | self.learned).items() if value or name not in self.learned}
        if new != told:
            self._rewrite([to_json(new), *rest])

    def _rewrite(self, bodies: list[bytes]) -> None:
        chain = replace(self.chain)
        replace_file(self.path, b"".join(map(chain.add, bodies)))

    def append(self, reply: Reply) -> None:
        """On the disk when this returns: it was paid for."""
        assert self._file is not None, "used in a with block"
        with self._telling():
            self._file.append([encode_reply(reply)])
        self.stored[reply.output.item_id] = reply

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise MedbenchError(
                f"{self.path} cannot be written: {error.strerror or error}. {len(self.stored)} replies are stored and "
                "safe.",
                f"{remedy(error)}, then give the same command again.",
            ) from error
