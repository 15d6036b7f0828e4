"""The C library's heap, told to keep what is freed: tensors come and go by the thousand, of the same sizes."""

from __future__ import annotations

import ctypes

# Options of glibc's mallopt (malloc.h) and what they are set to.
TRIM_THRESHOLD = (-1, 2**31 - 1)  # bytes free at the top of the heap before any go back to the system
TOP_PAD = (-2, 2**28)  # bytes asked of the system at a time
MMAP_MAX = (-4, 0)  # no block gets a mapping of its own, which would go back as soon as it is freed


def keep_freed() -> None:
    """Have this process keep the memory that it frees. Does nothing where the C library is not glibc.

    By default glibc gives every large block back to the system and asks for it anew, zeroed and page by page; training
    a 135M model on two cores goes 1.7 times as fast without.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in (TRIM_THRESHOLD, TOP_PAD, MMAP_MAX):
        mallopt(option, value)
