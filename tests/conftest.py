"""Every test starts in an empty base directory and leaves the person's own models alone."""

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def empty_base_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("NANOCHAT_BASE_DIR", str(tmp_path / "base"))
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "base"


@pytest.fixture
def shared_data():
    """The public data beside the checkout, for tests on real text; absent on most machines."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no {SHARED_DATA.name} folder beside the checkout")
    return SHARED_DATA


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny models on many threads spend their time waking threads up."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
