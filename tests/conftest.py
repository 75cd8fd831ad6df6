"""Every test starts in an empty base directory and leaves the person's own models alone."""

import json
import os
import shutil
from pathlib import Path

import pytest

# Before torch is imported: tiny models on many threads spend their time waking threads up.
os.environ.setdefault("OMP_NUM_THREADS", "1")
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


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A base directory with a tokenizer, texts and chats of the embedded world."""
    from nanochat.tinyworld_prose import documents
    from nanochat.tinyworld_chats import conversations
    from nanochat.tokenizer import Tokenizer
    folder = tmp_path_factory.mktemp("prepared")
    texts = list(documents("train", 150))
    (folder / "tokenizer").mkdir()
    Tokenizer.train(texts, 512).save(folder / "tokenizer" / "tokenizer.json")
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    chats = list(conversations("train", 200, 0))
    (folder / "chats.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    return folder


@pytest.fixture
def home(prepared, empty_base_dir, monkeypatch):
    """A copy of it to train in, where the embedded world is small."""
    from nanochat import chatdata, dataset
    from scripts import chat_sft, mid_train, tok_train
    from tasks import training
    shutil.copytree(prepared, empty_base_dir)
    monkeypatch.setattr(mid_train, "NUM_GENERATED", 200)
    monkeypatch.setattr(chat_sft, "NUM_GENERATED", 200)
    monkeypatch.setattr(tok_train, "NUM_TINYWORLD_CHATS", 100)
    monkeypatch.setattr(dataset, "TINYWORLD_DOCUMENTS", {"train": 150, "val": 20})
    monkeypatch.setattr(training, "NUM_EXERCISES", 1000)
    monkeypatch.setattr(chatdata, "NUM_VAL", 20)
    monkeypatch.setattr(training, "NUM_VAL", 20)
    return empty_base_dir
