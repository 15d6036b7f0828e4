"""An experiment as a file: what to train, run, compare and report, read, written, described and carried out."""
