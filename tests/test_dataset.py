"""Outside truths: files written by hand and by other programs, shards decoded back to the text they came from."""

import gzip
import hashlib
import json
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nanochat import token_shards
from nanochat.common import UserError, base_dir, tokenizer_path
from nanochat.dataset import (DOCUMENT_CHARS, build_token_shards, find_text, is_validation, read_documents,
                              resolve_shards, split_documents)
from nanochat.token_shards import TokenShards, tokenize_documents
from nanochat.tokenizer import Tokenizer
from scripts import tok_shards

TOK = Tokenizer.train(["the cat sat on the mat, the dog sat on the log. " * 9], 280)


def make_documents(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    words = ["the", "cat", "sat", "東京", "naïve", "é", "\n"]
    return [f"{i}: " + " ".join(rng.choices(words, k=rng.randint(1, 30))).strip() for i in range(count)]


def write_jsonl(path, texts):
    data = "".join(json.dumps({"text": text, "id": i}) + "\n" for i, text in enumerate(texts)).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path, texts, **columns):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet
    pa.parquet.write_table(pa.table({"text": texts, **columns}), path, row_group_size=7)
    return path


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# -----------------------------------------------------------------------------
# Documents

@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json.gz", "a.parquet"])
def test_rows_come_back_in_order_from_every_format(tmp_path, name):
    texts = make_documents(40)
    (write_parquet if name.endswith(".parquet") else write_jsonl)(tmp_path / name, texts)
    assert list(read_documents(tmp_path / name)) == texts


def test_a_folder_is_its_text_files_by_name(tmp_path):
    write_jsonl(tmp_path / "b.jsonl", ["two", "three"])
    write_parquet(tmp_path / "c.parquet", ["four"])
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "notes.md").write_text("not read")
    (tmp_path / ".hidden.txt").write_text("not read")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "z.txt").write_text("not read")
    assert list(read_documents(tmp_path)) == ["one", "two", "three", "four"]


def test_blank_documents_are_skipped_and_lone_surrogates_replaced(tmp_path):
    write_parquet(tmp_path / "a.parquet", ["x", None, "", " \n"])
    (tmp_path / "b.jsonl").write_text('{"text": "a\\ud800b"}\n\n{"text": "  "}\n')
    assert list(read_documents(tmp_path)) == ["x", "a\ufffdb"]


def test_a_txt_with_separators_is_cut_at_them(tmp_path):
    text = "\ufeffone\n\nstill one\n<|endoftext|>\ntwo <|endoftext|> two\n<|endoftext|>\n\nthree"
    (tmp_path / "a.txt").write_text(text)
    assert list(read_documents(tmp_path / "a.txt")) == ["one\n\nstill one", "two <|endoftext|> two", "three"]


def test_a_txt_without_separators_is_gathered_from_whole_paragraphs(tmp_path):
    paragraphs = [f"{i} " + "word " * 150 for i in range(100)]  # some 750 characters each, so six to a document
    (tmp_path / "a.txt").write_text("\n\n".join(paragraphs))
    documents = list(read_documents(tmp_path / "a.txt"))
    assert [p for d in documents for p in d.split("\n\n")] == paragraphs
    assert all(DOCUMENT_CHARS <= len(d) < DOCUMENT_CHARS + 800 for d in documents[:-1])


@pytest.mark.parametrize("unit", ["a line without a blank one after it\n", "one endless line "])
def test_a_txt_without_paragraphs_is_still_many_documents(tmp_path, unit):
    (tmp_path / "a.txt").write_text(unit * 5000)
    documents = list(read_documents(tmp_path / "a.txt"))
    assert len(documents) > 10 and max(map(len, documents)) < 2 * DOCUMENT_CHARS + len(unit)
    assert "".join("".join(documents).split()) == "".join((unit * 5000).split())


def test_a_novel_with_a_byte_order_mark_loses_nothing_but_line_ends(shared_data):
    file = shared_data / "prose" / "novels" / "Doyle_Lost_1912.txt"
    documents = list(read_documents(file))
    assert file.read_bytes().startswith(b"\xef\xbb\xbf") and len(documents) > 80
    assert "".join("".join(documents).split()) == "".join(file.read_text(encoding="utf-8-sig").split())


def test_other_programs_files_are_read(shared_data):
    assert len(list(read_documents(shared_data / "prose" / "c4-sample"))) == 30
    assert len(list(read_documents(shared_data / "prose" / "dolma-tests"))) == 20  # beside .warc.gz, passed over
    assert len(list(read_documents(shared_data / "prose" / "openstax" / "psychology.jsonl"))) > 100


@pytest.mark.parametrize("name, content, message", [
    ("a.jsonl", b'{"text": "ok"}\n{"txt": "x"}\n', 'a.jsonl:2: expected {"text"'),
    ("a.jsonl", b'{"text": "ok"}\n{"text": 7}\n', "a.jsonl:2: expected"),
    ("a.jsonl", b'{"text": "ok"}\n{"text": "cut o', "a.jsonl:2: not JSON"),
    ("a.jsonl", b'{"text": "ok"}\n{"text": "\xe9"}\n', "a.jsonl:2: not UTF-8"),
    ("a.jsonl", b"", "no documents"),
    ("a.jsonl", b'{"text": ""}\n', "no documents"),
    ("a.txt", b" \n\n", "no documents"),
    ("a.txt", b"caf\xe9 " * 9000, "not UTF-8"),
    ("a.jsonl.gz", gzip.compress(b'{"text": "ok"}\n' * 9999)[:-20], "cannot be read after line"),
    ("a.jsonl.gz", b"not gzip", "cannot be read after line 0"),
    ("a.parquet", b"", "not a whole parquet file"),
    ("a.parquet", b"PAR1 and then nothing", "not a whole parquet file"),
    ("a.csv", b"x", ".parquet files or a folder"),
])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        list(read_documents(tmp_path / name))
    assert message in one_line(error) and str(tmp_path) in str(error.value)


def test_a_truncated_parquet_file_is_one_line(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", make_documents(500))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a whole parquet file"):
        list(read_documents(file))


def test_a_parquet_file_with_a_damaged_page_is_one_line(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", make_documents(500))
    data = bytearray(file.read_bytes())
    data[40:400] = bytes(360)
    file.write_bytes(data)
    with pytest.raises(UserError, match="not a whole parquet file"):
        list(read_documents(file))


def test_a_parquet_file_without_text_names_its_columns(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet
    pa.parquet.write_table(pa.table({"content": ["x"], "url": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match='no column "text"; it has content, url'):
        list(read_documents(tmp_path / "a.parquet"))
    with pytest.raises(UserError, match="holds int, not text"):
        list(read_documents(write_parquet(tmp_path / "b.parquet", [1, 2])))


def test_a_missing_path_and_an_empty_folder_are_one_line_before_anything_is_read(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read_documents(tmp_path / "nothing.txt")
    with pytest.raises(UserError, match="no text in this folder"):
        read_documents(tmp_path)


# -----------------------------------------------------------------------------
# Validation

def test_about_one_document_in_a_hundred_validates_by_its_sha256():
    texts = make_documents(5000)
    chosen = [t for t in texts if is_validation(t)]
    assert 25 < len(chosen) < 85
    assert all(int(hashlib.sha256(t.encode()).hexdigest()[:16], 16) % 100 == 0 for t in chosen)


def test_the_split_is_a_partition_and_does_not_depend_on_the_order(tmp_path):
    texts = make_documents(1000)
    splits = [[list(side) for side in split_documents([write_jsonl(tmp_path / f"{i}.jsonl", rows)])]
              for i, rows in enumerate((texts, texts[::-1]))]
    (train, val), (train_again, val_again) = splits
    assert [t for t in texts if t not in set(val)] == train == train_again[::-1] and val == val_again[::-1]
    assert val and all(map(is_validation, val)) and not any(map(is_validation, train))


def test_when_none_validates_the_document_with_the_smallest_hash_does(tmp_path):
    texts = [t for t in make_documents(30) if not is_validation(t)]
    smallest = min(texts, key=lambda t: hashlib.sha256(t.encode()).digest())
    train, val = map(list, split_documents([write_jsonl(tmp_path / "a.jsonl", texts + [smallest])]))
    assert val == [smallest, smallest] and train == [t for t in texts if t != smallest]


def test_when_all_validate_the_others_train(tmp_path):
    texts = [t for t in make_documents(1000) if is_validation(t)]
    train, val = map(list, split_documents([write_jsonl(tmp_path / "a.jsonl", texts)]))
    assert len(val) == 1 and len(train) == len(texts) - 1


def test_one_document_alone_cannot_be_split_and_val_data_is_named(tmp_path):
    train, _ = split_documents([write_jsonl(tmp_path / "a.jsonl", ["only", "only"])])
    with pytest.raises(UserError, match="--val-data"):
        next(train)


def test_val_data_inside_the_folder_is_held_out_of_training(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", ["one", "two"])
    write_jsonl(tmp_path / "b.jsonl", ["three"])
    train, val = find_text(str(tmp_path), str(tmp_path / "b.jsonl")).documents()
    assert (list(train), list(val)) == (["one", "two"], ["three"])
    with pytest.raises(UserError, match="all of the training text"):
        find_text(str(tmp_path / "a.jsonl"), str(tmp_path / "a.jsonl"))


def test_a_manifest_names_the_validation_files_whatever_their_order(tmp_path):
    files = {f"{i:05d}.jsonl": write_jsonl(tmp_path / f"{i:05d}.jsonl", [f"text {i}"]) for i in range(3)}
    contents = {name: file.read_bytes() for name, file in files.items()}
    listing = {name: [len(content), hashlib.sha256(content).hexdigest()] for name, content in contents.items()}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": listing, "validation": ["00001.jsonl"]}))
    train, val = find_text(str(tmp_path)).documents()
    assert (list(train), list(val)) == (["text 0", "text 2"], ["text 1"])
    files["00002.jsonl"].write_text("{}")
    with pytest.raises(UserError, match="00002.jsonl is damaged"):
        find_text(str(tmp_path))
    manifest.write_text('{"files": ["00000.jsonl"]}')
    with pytest.raises(UserError, match="manifest.json: expected"):
        find_text(str(tmp_path))


# -----------------------------------------------------------------------------
# Shards

def build(out_dir, train, val, tokenizer=TOK, source="s", **kwargs):
    train_docs, val_docs = (tokenize_documents(tokenizer, texts) for texts in (train, val))
    return build_token_shards(source, train_docs, val_docs, tokenizer, out_dir, **kwargs)


def test_shards_hold_every_document_as_bos_and_its_text(tmp_path):
    train, val = make_documents(300), make_documents(20, seed=1)
    shards = build(tmp_path / "tokens", train, val, shard_tokens=1000)
    assert len(list((tmp_path / "tokens" / "train").glob("*.bin"))) > 5
    for split, texts in ((shards.train, train), (shards.val, val)):
        assert split.num_documents == len(texts) and split.num_tokens == split.lengths.sum()
        assert split.text_bytes == sum(len(text.encode()) for text in texts) and split.lengths.dtype == np.int64
        for i, text in enumerate(texts):
            ids = split.tokens(i)
            assert ids.tolist() == [TOK.bos_id, *TOK.encode(text)] and len(ids) == split.lengths[i]
            assert split.tokens(i, 1, 3).tolist() == ids[1:3].tolist()
    shards.verify()


def test_the_files_are_what_the_contract_says(tmp_path):
    build(tmp_path / "tokens", ["ab", "c", "de"], ["f"], Tokenizer.train([], 265), shard_tokens=5)
    train = tmp_path / "tokens" / "train"
    assert np.fromfile(train / "00000.bin", "<u2").tolist() == [256, 97, 98, 256, 99]
    assert np.fromfile(train / "00000.idx", "<u8").tolist() == [0, 3]
    assert np.fromfile(train / "00001.bin", "<u2").tolist() == [256, 100, 101]
    index = json.loads((tmp_path / "tokens" / "index.json").read_text())
    shard = index["splits"]["train"]["shards"][0]
    assert (shard["name"], shard["documents"], shard["tokens"], shard["text_bytes"]) == ("00000", 2, 5, 3)
    assert shard["bin_sha256"] == hashlib.sha256((train / "00000.bin").read_bytes()).hexdigest()
    assert index["dtype"] == "<u2" and index["format_version"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tokens", "tokens.lock"]  # no temporary left


@pytest.mark.parametrize("vocab_size, dtype", [(65_536, "<u2"), (65_537, "<u4")])
def test_ids_take_four_bytes_from_65537_on(tmp_path, vocab_size, dtype):
    words = (bytes([a, b, c]) for a in range(64) for b in range(64) for c in range(64))
    ranks = [bytes([b]) for b in range(256)] + [next(words) for _ in range(vocab_size - 265)]
    tok = Tokenizer("x", tuple(ranks))
    last = vocab_size - 1
    shards = build_token_shards("s", [[tok.bos_id, last]], [[tok.bos_id]], tok, tmp_path / "tokens")
    assert np.fromfile(tmp_path / "tokens" / "train" / "00000.bin", dtype).tolist() == [tok.bos_id, last]
    assert shards.train.tokens(0).tolist() == [tok.bos_id, last]


def test_the_fingerprint_names_the_tokens_and_nothing_else(tmp_path):
    texts = make_documents(50)
    first = build(tmp_path / "a", texts, ["v"])
    assert build(tmp_path / "b", texts, ["v"], source="elsewhere").fingerprint == first.fingerprint
    assert build(tmp_path / "c", texts[::-1], ["v"]).fingerprint != first.fingerprint
    assert build(tmp_path / "d", texts, ["w"]).fingerprint != first.fingerprint


@pytest.mark.parametrize("name", ["train/00000.bin", "train/00000.idx", "val/00000.bin"])
def test_a_truncated_or_missing_shard_is_named_on_opening(tmp_path, name):
    build(tmp_path / "tokens", make_documents(9), ["v"])
    file = tmp_path / "tokens" / name
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(UserError, match=f"{name} is damaged"):
        TokenShards(tmp_path / "tokens")
    file.unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        TokenShards(tmp_path / "tokens")


def test_a_flipped_bit_is_found_by_verify(tmp_path):
    shards = build(tmp_path / "tokens", make_documents(9), ["v"])
    file = tmp_path / "tokens" / "val" / "00000.bin"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with pytest.raises(UserError, match="val/00000.bin is damaged: its sha256"):
        shards.verify()


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"fingerprint": "x"}'])
def test_a_folder_without_a_good_index_is_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(UserError) as error:
        TokenShards(tmp_path)
    assert str(tmp_path) in one_line(error)


def test_whatever_stops_a_build_leaves_nothing_that_looks_finished(tmp_path):
    def texts():
        yield from make_documents(50)
        raise RuntimeError("killed")
    for train, val in ((texts(), ["v"]), (["t"], texts())):
        with pytest.raises(RuntimeError):
            build(tmp_path / "tokens", train, val, shard_tokens=100)
        assert [p.name for p in tmp_path.iterdir()] == ["tokens.lock"]
    (tmp_path / "tokens.tmp" / "train").mkdir(parents=True)  # as a killed process leaves it
    (tmp_path / "tokens.tmp" / "train" / "00000.bin").write_bytes(b"half")
    assert build(tmp_path / "tokens", ["t"], ["v"]).train.num_documents == 1


@pytest.mark.parametrize("train, val, message", [([], ["v"], "no training documents"), (["t"], [], "no validation")])
def test_an_empty_split_is_refused(tmp_path, train, val, message):
    with pytest.raises(UserError, match=message):
        build(tmp_path / "tokens", train, val)


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="free some space"):
        build(tmp_path / "tokens", ["t"], ["v"], text_bytes=10 ** 18)
    assert [p.name for p in tmp_path.iterdir()] == ["tokens.lock"]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "tokens").mkdir()
    assert build(tmp_path / "tokens", ["t"], ["v"]).train.num_documents == 1  # empty is fine
    with pytest.raises(UserError, match="tokens of another text"):
        build(tmp_path / "tokens", ["t"], ["v"], source="other")
    with pytest.raises(UserError, match="was made with tokenizer"):
        build(tmp_path / "tokens", ["t"], ["v"], tokenizer=Tokenizer.train([], 265))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("x")
    with pytest.raises(UserError, match="holds something else"):
        build(tmp_path / "mine", ["t"], ["v"])


def test_shards_open_without_pyarrow_tiktoken_or_rustbpe(tmp_path):
    shards = build(tmp_path / "tokens", make_documents(9), ["v"])
    TOK.save(tokenizer_path())
    code = ("import sys\n"
            "for name in ('pyarrow', 'tiktoken', 'rustbpe', 'datasets', 'fastapi'): sys.modules[name] = None\n"
            "from nanochat.common import tokenizer_path\n"
            "from nanochat.dataset import resolve_shards\n"
            "from nanochat.tokenizer import Tokenizer\n"
            f"shards = resolve_shards({str(tmp_path / 'tokens')!r}, None, Tokenizer.load(tokenizer_path()))\n"
            "print(shards.fingerprint, shards.train.num_tokens, Tokenizer.load(tokenizer_path()).decode([116, 104]))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [shards.fingerprint, str(shards.train.num_tokens), "th"]


# -----------------------------------------------------------------------------
# From --data to shards

def test_text_is_tokenised_once_and_recognised_by_its_content(tmp_path):
    file = write_jsonl(tmp_path / "my notes.jsonl", make_documents(300))
    shards = resolve_shards(str(file), None, TOK)
    assert shards.folder.parent.parent == base_dir() / "data" and shards.folder.parent.name.startswith("my-notes-")
    assert shards.folder.name == f"tokens-{TOK.fingerprint[:12]}"
    texts = [TOK.decode(side.tokens(i)[1:]) for side in (shards.train, shards.val) for i in range(side.num_documents)]
    assert sorted(texts) == sorted(make_documents(300)) and shards.val.num_documents >= 1
    written = (shards.folder / "index.json").stat().st_mtime_ns
    assert resolve_shards(str(file), None, TOK).folder == shards.folder
    assert (shards.folder / "index.json").stat().st_mtime_ns == written
    write_jsonl(file, make_documents(301))
    assert resolve_shards(str(file), None, TOK).folder != shards.folder


def test_other_validation_text_makes_other_shards(tmp_path):
    file = write_jsonl(tmp_path / "a.jsonl", make_documents(300))
    val = write_jsonl(tmp_path / "val.jsonl", ["held out"])
    shards = resolve_shards(str(file), str(val), TOK)
    assert shards.train.num_documents == 300 and TOK.decode(shards.val.tokens(0)) == "<|bos|>held out"
    assert shards.folder != resolve_shards(str(file), None, TOK).folder


def test_a_folder_of_shards_is_taken_as_it_is(tmp_path):
    built = build(tmp_path / "tokens", make_documents(9), ["v"])
    assert resolve_shards(str(tmp_path / "tokens"), None, TOK).fingerprint == built.fingerprint
    with pytest.raises(UserError, match="was made with tokenizer"):
        resolve_shards(str(tmp_path / "tokens"), None, Tokenizer.train([], 265))
    with pytest.raises(UserError, match="--val-data has no use"):
        resolve_shards(str(tmp_path / "tokens"), "v.txt", TOK)


def test_the_embedded_world_needs_no_file_and_is_the_same_everywhere(monkeypatch, tmp_path):
    monkeypatch.setattr("nanochat.dataset.TINYWORLD_DOCUMENTS", {"train": 60, "val": 8})
    shards = resolve_shards(None, None, TOK)
    assert (shards.train.num_documents, shards.val.num_documents) == (60, 8)
    text = shards.folder.parent / "text"
    manifest = json.loads((text / "manifest.json").read_text())
    assert manifest["validation"] == ["00001.jsonl.gz"] and len(manifest["files"]) == 2
    for name, (num_bytes, digest) in manifest["files"].items():
        content = (text / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (num_bytes, digest)
    assert list(read_documents(text / "00001.jsonl.gz")) == [TOK.decode(shards.val.tokens(i)[1:]) for i in range(8)]
    assert resolve_shards(None, None, TOK, seed=1).fingerprint != shards.fingerprint
    monkeypatch.setenv("NANOCHAT_BASE_DIR", str(tmp_path / "another"))
    assert resolve_shards(None, None, TOK).fingerprint == shards.fingerprint


def test_ranks_that_come_at_once_build_one_folder_between_them(tmp_path, monkeypatch):
    # Threads stand for ranks: flock knows open files, not processes. Both start before either has written anything.
    built, both_started = [], threading.Barrier(2)
    write_split = token_shards._write_split
    monkeypatch.setattr(token_shards, "_write_split", lambda *args: built.append(args[0].name) or write_split(*args))
    file = write_jsonl(tmp_path / "a.jsonl", make_documents(2000))

    def resolve(_):
        both_started.wait()
        return resolve_shards(str(file), None, TOK).fingerprint
    with ThreadPoolExecutor(2) as ranks:
        assert len(set(ranks.map(resolve, range(2)))) == 1
    assert built == ["train", "val"]


# -----------------------------------------------------------------------------
# The script

def run_tok_shards(*flags):
    return tok_shards.main(tok_shards.build_parser().parse_args([str(flag) for flag in flags]))


def test_tok_shards_writes_a_folder_that_training_takes(tmp_path, capsys):
    TOK.save(tokenizer_path())
    file = write_jsonl(tmp_path / "a.jsonl", make_documents(300))
    record = run_tok_shards("--data", file, "--out", tmp_path / "out")
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == record and record["path"] == str(tmp_path / "out")
    assert resolve_shards(record["path"], None, TOK).fingerprint == record["fingerprint"]
    assert resolve_shards(str(file), None, TOK).fingerprint == record["fingerprint"]


@pytest.mark.parametrize("flags, message", [
    (["--data", "none.txt"], "no such file"),
    (["--data", "EMPTY"], "no text in this folder"),
    (["--data", "A", "--val-data", "none.txt"], "no such file"),
    (["--data", "A", "--out", "USED"], "holds something else"),
    (["--data", "A", "--out", "/"], "holds something else"),
    (["--data", "A", "--out", "/proc/none/out"], "'/proc/none/out' cannot be made"),
    (["--data", "A", "--out", "/dev/null"], "holds something else"),
    (["--data", "x" * 300], "no such file"),
    (["--data", "A", "--out", "x" * 300], "cannot be made"),
    (["--data", "ONE"], "--val-data"),
])
def test_tok_shards_answers_a_mistake_with_one_line_and_exit_code_2(tmp_path, capsys, flags, message):
    TOK.save(tokenizer_path())
    for name in ("EMPTY", "USED"):
        (tmp_path / name).mkdir()
    (tmp_path / "USED" / "x").write_text("x")
    places = {"A": write_jsonl(tmp_path / "a.jsonl", make_documents(300)), "EMPTY": tmp_path / "EMPTY",
              "ONE": write_jsonl(tmp_path / "o.jsonl", ["x"]), "USED": tmp_path / "USED"}
    with pytest.raises(SystemExit) as stopped:
        run_tok_shards(*[places.get(flag, flag) for flag in flags])
    out, err = capsys.readouterr()
    assert stopped.value.code == 2 and out == "" and message in err and err.count("\n") == 1


def test_tok_shards_needs_a_tokenizer_first(capsys):
    with pytest.raises(SystemExit):
        run_tok_shards()
    assert "run python -m scripts.tok_train first" in capsys.readouterr().err
