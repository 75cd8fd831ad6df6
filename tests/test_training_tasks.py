"""What --tasks means: files written by hand with known splits go in, and every conversation that comes out is known."""

import json
import re

import pytest

from nanochat.common import UserError
from nanochat.conversation import validate
from tasks.spelling import split_of
from tasks.training import GROUPS, TRAINABLE, Entry, build_mixture, load_mixture, parse_entries


def choice(number):
    return {"question": f"Is it {number}?", "choices": ["yes", "no"], "gold": number % 2}


def chat(number):
    return {"messages": [{"role": "user", "content": f"Say {number}."}, {"role": "assistant", "content": str(number)}]}


def write_rows(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def folder(tmp_path):
    """ARC easy with three splits, OpenBookQA with training alone, words, and 300 chats."""
    for split, start in (("train", 0), ("validation", 100), ("test", 200)):
        write_rows(tmp_path / "arc" / f"ARC-Easy-{split}.jsonl", [choice(i) for i in range(start, start + 10)])
    write_rows(tmp_path / "mc_train" / "openbookqa-train.jsonl",
               [{"query": f"Question: Is it {i}?\nAnswer:", "choices": ["yes", "no"], "gold": 0} for i in range(300, 600)])
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "words.txt").write_text("\n".join(f"{a}{b}ing" for a in "abcdefghij" for b in "klmnop"))
    write_rows(tmp_path / "chats.jsonl", [chat(i) for i in range(300)])
    return tmp_path


def build(spec, folder, seed=0):
    return build_mixture(spec, str(folder), num_world=30, seed=seed)


def asked(conversations):
    return [chat["messages"][0]["content"].splitlines()[0] for chat in conversations]


def test_training_splits_train_and_validation_splits_validate(folder):
    chats = build("arc_easy", folder)
    assert sorted(asked(chats.training())) == sorted(f"Is it {i}?" for i in range(10))
    assert sorted(asked(chats.validation())) == [f"Is it {i}?" for i in range(100, 110)]


def test_without_a_validation_split_one_percent_is_held_out_by_content(folder):
    for spec, most in (("openbookqa", 300), (str(folder / "chats.jsonl"), 300)):
        train, val = (asked(side) for side in (build(spec, folder).training(), build(spec, folder).validation()))
        assert len(train) + len(val) == most and 1 <= len(val) <= 12 and not set(train) & set(val)
    rows = [chat(i) for i in range(300)]
    write_rows(folder / "chats.jsonl", rows[::-1] + rows)
    again = build(str(folder / "chats.jsonl"), folder)
    assert set(asked(again.validation())) == set(val) and not set(asked(again.training())) & set(val)


def test_words_of_the_validation_and_the_test_split_are_never_trained_on(folder):
    chats = build("spelling", folder)
    for conversations, split in ((chats.training(), "train"), (chats.validation(), "validation")):
        words = [word for text in asked(conversations) for word in re.findall(r"\b[a-j][k-p]ing", text)]
        assert len(words) > 300 and {split_of(word) for word in words} == {split}


def test_epochs_and_fractions_of_one(folder):
    train = asked(build(f"arc_easy:2.5,{folder / 'chats.jsonl'}:0.1", folder).training())
    counts = sorted(train.count(f"Is it {i}?") for i in range(10))
    assert counts == [2] * 5 + [3] * 5 and sum(text.startswith("Say") for text in train) == 30
    assert train != sorted(train)  # mixed, not one after the other


def test_shares_make_the_largest_mixture_without_repeats(folder):
    train = asked(build(f"arc_easy:25%,{folder / 'chats.jsonl'}:75%", folder).training())
    assert sum(text.startswith("Is") for text in train) == 10 and sum(text.startswith("Say") for text in train) == 30
    assert len(set(train)) == 40


def test_the_seed_draws_what_is_trained_on_and_never_what_validates(folder):
    spec = f"spelling:0.01,{folder / 'chats.jsonl'}:0.2"
    first, again, other = (build(spec, folder, seed) for seed in (3, 3, 4))
    assert list(first.training()) == list(again.training()) != list(other.training())
    assert list(first.validation()) == list(other.validation())


def test_a_folder_and_a_parquet_file_of_chats_are_read(folder):
    import pyarrow
    from pyarrow.parquet import write_table
    (folder / "mine").mkdir()
    write_table(pyarrow.Table.from_pylist([chat(i) for i in range(5)]), folder / "mine" / "a.parquet")
    write_rows(folder / "mine" / "b.jsonl", [chat(i) for i in range(5, 9)])
    chats = build(str(folder / "mine"), folder)
    assert sorted(asked(chats.training()) + asked(chats.validation())) == [f"Say {i}." for i in range(9)]
    write_table(pyarrow.Table.from_pylist([chat(1), {"messages": []}]), folder / "bad.parquet")
    with pytest.raises(UserError, match="bad.parquet, row 2: not a conversation"):
        build(str(folder / "bad.parquet"), folder)


def test_rows_of_a_public_set_that_are_no_conversations_are_left_out_and_counted(folder, capsys):
    rows = [chat(i) for i in range(20)] + [{"messages": [{"role": "user", "content": " "}]}]
    write_rows(folder / "smoltalk" / "train.jsonl", rows)
    chats = build("smoltalk", folder)
    assert len(chats.train) + len(chats.val) == 20
    assert "smoltalk: 1 of 21 rows left out, such as smoltalk train, row 21" in capsys.readouterr().err


def test_the_public_sets_mix(shared_data):
    """Sizes as SOURCES.md counts them, 1% of the training sets without a validation split held out."""
    chats = build_mixture(f"gsm8k:0.1,openbookqa:0.1,arc_challenge:2,{shared_data / 'chat' / 'taskmaster4.jsonl'}",
                          shared_data / "tasks", num_world=0, seed=0)
    assert abs(len(chats.train) - (695 + 491 + 2 * 1119 + 1354)) < 30
    assert {"gsm8k", "openbookqa", "arc_challenge"} < {chat.get("source") for chat in chats.training()}
    for conversation in chats.validation():
        validate(conversation)
    assert any(part["type"] == "python" for conversation in chats.validation()
               for part in conversation["messages"][1]["content"] if isinstance(part, dict))


def test_entries_by_hand():
    assert parse_entries("gsm8k:70%, a/b:c.jsonl:30%") == [Entry("gsm8k", 70.0, True), Entry("a/b:c.jsonl", 30.0, True)]
    assert {"spelling_bee", "gsm8k", "smoltalk"} < set(TRAINABLE) and "humaneval" not in TRAINABLE
    assert {member for members in GROUPS.values() for member in members} < set(TRAINABLE)


@pytest.mark.parametrize("spec, words", [
    ("gsm", "or one of world, exercises, arc"), ("", "or one of world"), ("gsm8k,", "or one of world"), ("gsm8k:0", "above 0"),
    ("gsm8k:-1", "above 0"), ("gsm8k:nan", "above 0"), ("gsm8k:inf", "at most 1000 epochs"), ("gsm8k:x", "after the colon"),
    ("gsm8k:120%", "at most 100%"), ("gsm8k:50%,mmlu", "for every entry or for none"), ("gsm8k:50%,mmlu:20%", "come to 70%"),
    ("gsm8k,gsm8k", "gsm8k is in it twice; for two epochs write gsm8k:2"), ("arc,arc_easy", "arc_easy is in it twice"),
    ("humaneval", "or one of world"), ("nowhere.jsonl", "nowhere.jsonl: no such file"), ("arc_easy:0.01", "less than one"),
    ("arc_challenge", "no files of it in"), ("{folder}/empty", "no conversations in this folder"),
])
def test_a_mistake_is_one_line(folder, spec, words):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=words) as error:
        build(spec.format(folder=folder), folder)
    assert "\n" not in str(error.value)


def test_flags_that_could_not_take_effect_are_refused():
    assert load_mixture(None, None, has_data=True, num_world=1, seed=0) is None
    for spec, task_data, has_data, words in ((None, "x", False, "--task-data x without --tasks"),
                                             ("world", None, True, "one of them")):
        with pytest.raises(UserError, match=words):
            load_mixture(spec, task_data, has_data=has_data, num_world=1, seed=0)
