"""Token shards: documents as ids in a folder that is written once and read through memory maps.

    index.json                what is there, with sizes and sha256; written last
    {train,val}/NNNNN.bin     ids of whole documents, each bos + ids; uint16 LE, uint32 from 65,537 ids
    {train,val}/NNNNN.idx     uint64 LE, where each document starts in the .bin, counted in tokens; it ends
                              where the next one starts, the last one at the end of the file

Reading needs numpy alone. Which text goes in is dataset.py's business, which rows come out dataloader.py's.
"""

import hashlib
import os
import shutil
import sys
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch.distributed as dist

from nanochat.common import UserError, get_dist_info
from nanochat.files import atomic_write, file_lock, fsync_dir, read_json, require_free_space, sha256_file, write_json
from nanochat.tokenizer import Tokenizer

FORMAT_VERSION = 1


# -----------------------------------------------------------------------------
# Reading

def require_size(file: Path, num_bytes: int):
    """A file that lost its end reads as good data, so every reader asks first. Raises UserError."""
    found = file.stat().st_size if file.is_file() else None
    if found != num_bytes:
        problem = "missing" if found is None else f"damaged ({found} bytes, {num_bytes} expected)"
        raise UserError(f"{file} is {problem}; delete its folder and make it again")


class TokenSplit:
    """The documents of one split. `lengths` (num_documents,) int64 counts tokens, bos included."""

    def __init__(self, folder: Path, entry: dict, dtype: np.dtype):
        self.text_bytes = entry["text_bytes"]
        self._tokens, starts, lengths = [], [], []
        self._first_docs = [0]  # of each shard, and the number of documents as an end
        for shard in entry["shards"]:
            self._tokens.append(_map_file(folder / f"{shard['name']}.bin", dtype, shard["tokens"]))
            starts.append(_map_file(folder / f"{shard['name']}.idx", "<u8", shard["documents"]).astype(np.int64))
            lengths.append(np.diff(starts[-1], append=shard["tokens"]))
            self._first_docs.append(self._first_docs[-1] + shard["documents"])
        self._starts, self.lengths = np.concatenate(starts), np.concatenate(lengths)
        self.num_documents, self.num_tokens = len(self.lengths), int(self.lengths.sum())
        if self.lengths.min() < 1 or self.num_tokens != entry["tokens"]:
            raise UserError(f"{folder}: the .idx files do not fit the .bin files; delete the folder and make it again")

    def tokens(self, doc: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Ids [start, stop) of one document, a view of the file; stop None is the end of the document."""
        length = int(self.lengths[doc])
        stop = length if stop is None else stop
        assert doc >= 0 and 0 <= start <= stop <= length, f"[{start}, {stop}) of document {doc}, {length} tokens long"
        first = int(self._starts[doc])
        return self._tokens[bisect_right(self._first_docs, doc) - 1][first + start:first + stop]


def _map_file(file: Path, dtype, count: int) -> np.ndarray:
    require_size(file, count * np.dtype(dtype).itemsize)
    return np.memmap(file, dtype=dtype, mode="r").view(np.ndarray)  # slices of a plain array cost less


class TokenShards:
    """A folder that build_token_shards wrote: .train and .val are TokenSplits.

    .fingerprint names the content, .tokenizer_fingerprint what it was encoded with, .source_fingerprint what it was
    made from. Opening checks sizes, `verify` contents; both raise UserError.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not (self.folder / "index.json").is_file():
            raise UserError(f"{self.folder}: no token shards here; make them with python -m scripts.tok_shards")
        self._index = read_json(self.folder / "index.json")
        try:
            self.fingerprint = self._index["fingerprint"]
            self.tokenizer_fingerprint = self._index["tokenizer_fingerprint"]
            self.source_fingerprint = self._index["source_fingerprint"]
            dtype = np.dtype(self._index["dtype"])
            self.train, self.val = (TokenSplit(self.folder / split, self._index["splits"][split], dtype)
                                    for split in ("train", "val"))
        except (KeyError, TypeError) as error:
            raise UserError(f"{self.folder / 'index.json'} is not of format {FORMAT_VERSION} ({error!r}); "
                            "make the shards again with python -m scripts.tok_shards") from None

    def require_tokenizer(self, tokenizer: Tokenizer):
        if self.tokenizer_fingerprint != tokenizer.fingerprint:
            raise UserError(f"{self.folder} was made with tokenizer {self.tokenizer_fingerprint[:12]}, this run has "
                            f"{tokenizer.fingerprint[:12]}; give the text instead, or the tokenizer it was made with")

    def verify(self):
        """Compare every file with its sha256, each rank its share of them; all ranks raise the same UserError."""
        info = get_dist_info()
        files = [(self.folder / split / f"{shard['name']}.{kind}", shard[f"{kind}_sha256"])
                 for split, entry in self._index["splits"].items() for shard in entry["shards"] for kind in ("bin", "idx")]
        damaged = [[str(file) for file, sha256 in files[info.rank::info.world] if sha256_file(file) != sha256]]
        if info.world > 1:
            share, damaged = damaged[0], [None] * info.world
            dist.all_gather_object(damaged, share)
        for file in sorted(sum(damaged, [])):
            raise UserError(f"{file} is damaged: its sha256 is not the one in index.json; "
                            "delete the folder and make it again")


# -----------------------------------------------------------------------------
# Writing

def tokenize_documents(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[list[int]]:
    """bos + ids of each text, a megabyte at a time on all cores."""
    chunk, num_chars = [], 0
    for text in texts:
        chunk.append(text)
        num_chars += len(text)
        if num_chars >= 1 << 20:
            yield from ([tokenizer.bos_id, *ids] for ids in tokenizer.encode_batch(chunk))
            chunk, num_chars = [], 0
    yield from ([tokenizer.bos_id, *ids] for ids in tokenizer.encode_batch(chunk))


class Progress:
    """A line every 10 seconds: megabytes of text, rate and, when the total is known, the time left."""

    def __init__(self, total_bytes: int | None):
        self.total_bytes, self.num_bytes = total_bytes, 0
        self.started = self.printed = time.monotonic()

    def add(self, num_bytes: int):
        self.num_bytes += num_bytes
        now = time.monotonic()
        if now - self.printed >= 10:
            self.printed, rate = now, self.num_bytes / (now - self.started)
            left = f", about {max(0, self.total_bytes - self.num_bytes) / rate:,.0f} s left" if self.total_bytes else ""
            # not print0: under torchrun the rank that got the lock does the work, whichever it is
            print(f"tokenised {self.num_bytes / 1e6:,.0f} MB, {rate / 1e6:.1f} MB/s{left}", file=sys.stderr, flush=True)


def build_token_shards(source_fingerprint: str, train_docs: Iterable[Sequence[int]], val_docs: Iterable[Sequence[int]],
                       tokenizer: Tokenizer, out_dir: Path | str, *, shard_tokens: int = 100_000_000,
                       text_bytes: int | None = None) -> TokenShards:
    """Write documents of ids, each starting with bos, to out_dir; when the same source is there, open it.

    `text_bytes` estimates all text, for the look at the free space and the time left. A document is never spread
    over two shards. Whatever stops this, out_dir is whole or absent. Raises UserError on an empty split, a full disk
    and a folder that holds something else.
    """
    out_dir = Path(os.path.abspath(out_dir))  # so that even --out . has a name and a parent
    _require_free_folder(out_dir)
    with file_lock(out_dir.with_name(out_dir.name + ".lock")):
        if (out_dir / "index.json").is_file():
            return _open_existing(out_dir, source_fingerprint, tokenizer)
        dtype = np.dtype("<u2" if tokenizer.vocab_size < 65_537 else "<u4")
        # Three bytes of text to a token is on the safe side for English (about 4), not for every script.
        require_free_space(out_dir.parent, (text_bytes or 0) * dtype.itemsize // 3, "tokenising")
        temp = out_dir.with_name(out_dir.name + ".tmp")
        shutil.rmtree(temp, ignore_errors=True)  # of a build that was killed; the lock says nobody else is at it
        try:
            progress, token_bytes = Progress(text_bytes), tokenizer.token_bytes()
            splits = {split: _write_split(temp / split, docs, dtype, token_bytes, shard_tokens, progress)
                      for split, docs in (("train", train_docs), ("val", val_docs))}
            write_json(temp / "index.json", _make_index(splits, dtype, tokenizer, source_fingerprint))
            os.rename(temp, out_dir)
        finally:
            shutil.rmtree(temp, ignore_errors=True)
        fsync_dir(out_dir.parent)
    return TokenShards(out_dir)


def _require_free_folder(out_dir: Path):
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        is_used = out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir()))
        is_writable = os.access(out_dir.parent, os.W_OK)
    except (OSError, ValueError) as error:
        raise UserError(f"{str(out_dir)!r} cannot be made: {error}") from None
    if is_used and not (out_dir / "index.json").is_file():
        raise UserError(f"{out_dir} holds something else; choose a new or an empty folder")
    if not is_writable:
        raise UserError(f"{out_dir.parent} is read-only; choose another folder")


def _open_existing(out_dir: Path, source_fingerprint: str, tokenizer: Tokenizer) -> TokenShards:
    shards = TokenShards(out_dir)
    shards.require_tokenizer(tokenizer)
    if shards.source_fingerprint != source_fingerprint:
        raise UserError(f"{out_dir} holds the tokens of another text; choose a new or an empty folder")
    return shards


def _make_index(splits: dict, dtype: np.dtype, tokenizer: Tokenizer, source_fingerprint: str) -> dict:
    shards = [shard for entry in splits.values() for shard in entry["shards"]]
    hashes = "".join(shard["bin_sha256"] + shard["idx_sha256"] for shard in shards)
    return {"format_version": FORMAT_VERSION, "fingerprint": hashlib.sha256(hashes.encode()).hexdigest(),
            "tokenizer_fingerprint": tokenizer.fingerprint, "source_fingerprint": source_fingerprint,
            "dtype": dtype.str, "splits": splits}


def _write_split(folder: Path, documents: Iterable[Sequence[int]], dtype: np.dtype, token_bytes: np.ndarray,
                 shard_tokens: int, progress: Progress) -> dict:
    folder.mkdir(parents=True)
    documents, shards = iter(documents), []
    while shard := _write_shard(folder / f"{len(shards):05d}", documents, dtype, token_bytes, shard_tokens, progress):
        shards.append(shard)
    if not shards:
        raise UserError(f"no {'training' if folder.name == 'train' else 'validation'} documents; "
                        "give more text, or another one with --val-data")
    fsync_dir(folder)
    totals = {key: sum(shard[key] for shard in shards) for key in ("documents", "tokens", "text_bytes")}
    return {**totals, "shards": shards}


def _write_shard(stem: Path, documents: Iterator[Sequence[int]], dtype: np.dtype, token_bytes: np.ndarray,
                 shard_tokens: int, progress: Progress) -> dict | None:
    """The next documents, until there are shard_tokens; None, and no file, when none are left."""
    starts, num_tokens, text_bytes = [], 0, 0
    with open(stem.with_suffix(".bin"), "wb") as f:
        for document in documents:
            ids = np.asarray(document, dtype=dtype)
            assert len(ids), "a document has at least bos"
            f.write(ids.tobytes())
            num_bytes = int(token_bytes[ids].sum())
            progress.add(num_bytes)
            starts.append(num_tokens)
            num_tokens, text_bytes = num_tokens + len(ids), text_bytes + num_bytes
            if num_tokens >= shard_tokens:
                break
        f.flush()
        os.fsync(f.fileno())
    if not starts:
        stem.with_suffix(".bin").unlink()
        return None
    atomic_write(stem.with_suffix(".idx"), np.array(starts, dtype="<u8").tobytes())
    hashes = {f"{kind}_sha256": sha256_file(stem.with_suffix(f".{kind}")) for kind in ("bin", "idx")}
    return {"name": stem.name, "documents": len(starts), "tokens": num_tokens, "text_bytes": text_bytes, **hashes}
