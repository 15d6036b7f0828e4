"""A program, run in a separate process: llama.cpp's quantizer, in which a failed assertion ends the process.

Arguments: the GGUF file to read, the one to write, the number of the type, threads.
"""

from __future__ import annotations

import ctypes
import os
import sys


def main() -> int:
    source, target, kind, threads = sys.argv[1:]
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = int(kind)
    settings.nthread = int(threads)
    return int(llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(settings)))


if __name__ == "__main__":
    sys.exit(main())
