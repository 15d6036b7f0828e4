"""Who answers: one file per zoo entry, and `resolve`, which turns any --model into weights on this disk."""

from .entry import Entry, PackageWeights

__all__ = ["Entry", "PackageWeights"]
