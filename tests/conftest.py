"""What several tests need: the folder of real data, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with official releases: MEDBENCH_DATA, or shared/data beside the checkout."""
    named = os.environ.get("MEDBENCH_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the official releases: set MEDBENCH_DATA")
    return folder
