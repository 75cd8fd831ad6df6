import hashlib
import json
import multiprocessing
import os
import struct

import numpy as np
import pytest

from nanochat import chatdata
from nanochat.chatdata import fingerprint_sequences, load_chat_data
from nanochat.common import UserError
from nanochat.conversation import render
from nanochat.packing import Sequence
from nanochat.tinyworld_chats import conversations
from nanochat.tokenizer import Tokenizer

TOK = Tokenizer.train(["what is the colour of the sky and of the sea " * 20], 280)


def chat(question, answer="blue"):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def write(path, chats):
    path.write_text("".join(json.dumps(c) + "\n" for c in chats))
    return str(path)


def load(data, val_data=None, max_tokens=64):
    return load_chat_data(data, val_data, TOK, max_tokens=max_tokens, seed=0, num_generated=50)


def test_one_percent_by_hash_is_held_out_and_copies_stay_together(tmp_path):
    chats = [chat(f"what is {i}") for i in range(2000)]
    found = load(write(tmp_path / "a.jsonl", chats + chats))
    train, val = ({tuple(s.ids) for s in side} for side in (found.train, found.val))
    assert not train & val and len(train) + len(val) == 2000 and 8 <= len(val) <= 35
    assert len(found.train) + len(found.val) == 4000


def test_what_is_held_out_depends_on_content_alone(tmp_path):
    chats = [chat(f"what is {i}") for i in range(300)]
    first = load(write(tmp_path / "a.jsonl", chats))
    second = load(write(tmp_path / "b.jsonl", chats[::-1]))
    assert {tuple(s.ids) for s in first.val} == {tuple(s.ids) for s in second.val}


def test_a_validation_file_is_taken_whole(tmp_path):
    train, val = write(tmp_path / "t.jsonl", [chat("a"), chat("b")]), write(tmp_path / "v.jsonl", [chat("c")])
    found = load(train, val)
    assert [s.ids.tolist() for s in found.val] == [render(TOK, chat("c"))[0]] and len(found.train) == 2


def test_too_long_ones_are_left_out_before_the_split(tmp_path):
    found = load(write(tmp_path / "a.jsonl", [chat("the sea " * 99), chat("a"), chat("b")]), max_tokens=32)
    assert len(found.train) == len(found.val) == 1


@pytest.mark.parametrize("chats, words", [([chat("a")], "too few to hold one out"), ([chat("the sea " * 99)], "longer"),
                                          ([{"messages": [{"role": "user", "content": "a"}]}], "none of its 1")])
def test_too_little_is_said_in_one_line(tmp_path, chats, words):
    with pytest.raises(UserError, match=words):
        load(write(tmp_path / "a.jsonl", chats), max_tokens=32)


def test_the_fingerprint_follows_content_tokenizer_and_row_length(tmp_path):
    chats = [chat(f"what is {i} " * 3, f"{i} " * 9) for i in range(20)]
    path = write(tmp_path / "a.jsonl", chats)
    assert load(path).fingerprint == load(path).fingerprint != load(path, max_tokens=48).fingerprint
    assert load(write(tmp_path / "b.jsonl", chats[1:])).fingerprint != load(path).fingerprint


def test_the_fingerprint_is_over_length_ids_and_mask_as_little_endian_int32():
    """By hand, since resumed runs compare it with what an older version wrote."""
    words = struct.pack("<7i", 3, 5, 6, 700, 0, 1, 1) + struct.pack("<3i", 1, 9, 0)
    sequences = [Sequence([5, 6, 700], [0, 1, 1]), Sequence(np.array([9], np.int32), np.array([0], np.uint8))]
    assert fingerprint_sequences(sequences[:1], sequences[1:]) == hashlib.sha256(words).hexdigest()


def test_what_is_cut_and_dropped_is_in_the_record(tmp_path):
    long, two = "the sea " * 99, chat("a")["messages"] + chat("the sea " * 20)["messages"]
    found = load(write(tmp_path / "a.jsonl", [chat(long), {"messages": two}, chat("b"), chat("c")]), max_tokens=32)
    assert found.record() == {"num_conversations": 2, "num_cut": 1, "num_dropped": 1} and len(found.val) == 1
    assert len(load(write(tmp_path / "a.jsonl", [chat(long), {"messages": two}, chat("b")]), max_tokens=2048).train) == 2


def test_the_embedded_world_needs_no_file():
    found = load(None, max_tokens=512)
    assert len(found.train) == 50 and found.val and not {tuple(s.ids) for s in found.train} & {tuple(s.ids) for s in found.val}


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_several_processes_write_what_one_writes(method, monkeypatch):
    def generated(num_threads):
        monkeypatch.setattr(chatdata.torch, "get_num_threads", lambda: num_threads)
        return load(None, max_tokens=200)  # so that some are cut and some dropped
    monkeypatch.setattr(chatdata, "NUM_AT_ONCE", 13)  # 50 conversations are four parts, the last one short
    context = multiprocessing.get_context(method)
    monkeypatch.setattr(chatdata.multiprocessing, "get_context", lambda _: context)
    alone, together = generated(1), generated(2)
    assert alone.record() == together.record() and alone.num_cut and alone.num_dropped
    assert alone.fingerprint == together.fingerprint == fingerprint_sequences(together.train, together.val)
    whole = [ids for ids, _ in (render(TOK, chat) for chat in conversations("train", 50, 0)) if len(ids) <= 201]
    assert whole == [ids for ids in (sequence.ids.tolist() for sequence in together.train) if ids in whole]


def test_a_process_that_dies_ends_the_run(monkeypatch):
    monkeypatch.setattr(chatdata, "NUM_AT_ONCE", 13)
    monkeypatch.setattr(chatdata.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(chatdata, "_render", lambda *args: os._exit(9))
    with pytest.raises(UserError, match="out of memory"):
        load(None)
