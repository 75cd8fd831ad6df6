"""Every source of text: which files, which documents, which of them validate, and their tokens.

    read_documents(path)        .txt, .jsonl, .jsonl.gz, .json.gz, .parquet or a folder of them, streamed
    find_text(data, val_data)   the files to train on and to validate on
    resolve_shards(data, ...)   what a training script calls: --data in, TokenShards out, tokenised at most once

Validation is what --val-data or the folder's manifest.json names, else 1% of the documents, by hash.
"""

import functools
import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nanochat.common import UserError, base_dir
from nanochat.conversation import read_jsonl
from nanochat.files import atomic_write, read_json, sha256_file, write_json
from nanochat.token_shards import TokenShards, build_token_shards, require_size, tokenize_documents
from nanochat.tokenizer import Tokenizer, clean_text

FORMAT_VERSION = 1
TEXT_SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".json.gz", ".parquet")
SEPARATOR = "<|endoftext|>"  # a line of its own between the documents of a .txt, as in TinyStories
DOCUMENT_CHARS = 4000        # of a .txt without separators: a 1 MB book is then some 250 documents
VALIDATION_ONE_IN = 100
TINYWORLD_DOCUMENTS = {"train": 6000, "val": 200}


# -----------------------------------------------------------------------------
# Documents

def text_files(path: Path | str) -> list[Path]:
    """The file itself, or the text files of a folder by name, not recursive; other files there are passed over."""
    path = Path(path)
    if os.path.isdir(path):  # os.path answers False where pathlib raises: a name that is too long, a NUL
        files = sorted(f for f in path.iterdir()
                       if f.is_file() and f.name.endswith(TEXT_SUFFIXES) and not f.name.startswith("."))
        if not files:
            raise UserError(f"{path}: no text in this folder; accepted are {', '.join(TEXT_SUFFIXES)}")
        return files
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file or folder")
    if not path.name.endswith(TEXT_SUFFIXES):
        raise UserError(f"{path}: text is read from {', '.join(TEXT_SUFFIXES)} files or a folder of them")
    return [path]


def read_documents(path: Path | str) -> Iterator[str]:
    """The documents of a file or folder in order, in constant memory; blank ones are skipped.

    Raises UserError for what cannot be read (a JSONL row by file and line) and when there is no document at all.
    """
    return _read_files(text_files(path))


def _read_files(files: list[Path]) -> Iterator[str]:
    is_empty = True
    for file in files:
        read = {".txt": _read_txt, ".parquet": _read_parquet}.get(file.suffix, _read_rows)
        for text in read(file):
            if text.strip():
                is_empty = False
                yield clean_text(text)
    if is_empty:
        raise UserError(f"{files[0] if len(files) == 1 else files[0].parent}: no documents in it")


def _read_rows(file: Path) -> Iterator[str]:
    for line_number, row in read_jsonl(file):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise UserError(f'{file}:{line_number}: expected {{"text": "..."}}, got {repr(row)[:60]}')
        yield row["text"]


def _read_parquet(file: Path) -> Iterator[str]:
    import pyarrow
    from pyarrow.parquet import ParquetFile
    try:
        with ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            if "text" not in names:
                raise UserError(f'{file}: no column "text"; it has {", ".join(names)}')
            for batch in parquet.iter_batches(batch_size=1024, columns=["text"]):
                for text in batch.column(0).to_pylist():
                    if not isinstance(text, str | None):
                        raise UserError(f'{file}: column "text" holds {type(text).__name__}, not text')
                    yield text or ""
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not a whole parquet file ({str(error).partition(chr(10))[0]})") from None


def _read_txt(file: Path) -> Iterator[str]:
    has_separators = any(line.strip() == SEPARATOR for line in _read_lines(file))
    document, num_chars = [], 0
    for line in _read_lines(file):
        is_separator = has_separators and line.strip() == SEPARATOR
        if not is_separator:
            document.append(line)
            num_chars += len(line)
        if is_separator or not has_separators and _is_full(num_chars, line):
            yield "".join(document).strip("\n")
            document, num_chars = [], 0
    yield "".join(document).strip("\n")


def _is_full(num_chars: int, last_line: str) -> bool:
    """A document ends at a blank line once it is long enough, and anywhere at twice that."""
    return num_chars >= (2 if last_line.strip() else 1) * DOCUMENT_CHARS


def _read_lines(file: Path) -> Iterator[str]:
    """Lines with their ends; a very long one in pieces, as some corpora are a single line of 100 MB."""
    try:
        with open(file, encoding="utf-8-sig") as f:
            while line := f.readline(2 * DOCUMENT_CHARS):
                yield line
    except UnicodeDecodeError:
        raise UserError(f"{file}: not UTF-8 text; convert it first, e.g. with iconv -t utf-8") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None


# -----------------------------------------------------------------------------
# Validation

def is_validation(text: str) -> bool:
    """1% of documents, by their content: the same document is on the same side in every file and order."""
    return _is_validation(_digest(text))


def _is_validation(digest: bytes) -> bool:
    return int.from_bytes(digest[:8], "big") % VALIDATION_ONE_IN == 0


def _digest(text: str) -> bytes:
    return hashlib.sha256(clean_text(text).encode()).digest()


def split_documents(files: list[Path]) -> tuple[Iterator[str], Iterator[str]]:
    """(train, validation) documents; nothing is read before the first is asked for.

    When 1% by hash leaves a side empty, the document with the smallest hash validates. Raises UserError when there
    is but one document.
    """
    @functools.cache
    def validation_rule():
        digests, sides = set(), set()
        for digest in map(_digest, _read_files(files)):
            digests.add(digest)
            sides.add(_is_validation(digest))
            if len(sides) == 2:  # after a hundred documents or so, on most texts
                return _is_validation
        if len(digests) == 1:
            raise UserError(f"{files[0]}: one document only, so none is left for validation; "
                            "give another text with --val-data, or separate documents in it")
        return lambda digest: digest == min(digests)

    def read_side(wanted: bool):
        rule = validation_rule()
        yield from (text for text in _read_files(files) if rule(_digest(text)) == wanted)

    return read_side(False), read_side(True)


@dataclass(frozen=True)
class TextSource:
    """Which files train and which validate."""
    name: str                     # of the folder below data/
    train_files: list[Path]
    val_files: list[Path] | None  # None: 1% of the documents of train_files, by hash
    fingerprint: str              # sha256 over the names and contents of the files, and how they are split
    text_bytes: int               # estimate: bytes on disk, three times that when compressed

    def documents(self) -> tuple[Iterator[str], Iterator[str]]:
        """(train, validation), streamed."""
        if self.val_files is None:
            return split_documents(self.train_files)
        return _read_files(self.train_files), _read_files(self.val_files)


def find_text(data: str | None, val_data: str | None = None, *, seed: int = 0) -> TextSource:
    """Where the text is: the embedded world (data None, from `seed`), a file or a folder.

    Validation is val_data, whose files are taken out of data when they lie there, else what the folder's
    manifest.json names, else 1% by hash. Hashes every file. Raises UserError when there is no text.
    """
    path = write_tinyworld(seed) if data is None else Path(data)
    train_files, val_files = _manifest_files(path) or (text_files(path), None)
    if val_data is not None:
        val_files = text_files(val_data)
        held_out = {file.resolve() for file in val_files}
        train_files = [file for file in train_files if file.resolve() not in held_out]
        if not train_files:
            raise UserError(f"--val-data {val_data} is all of the training text; give another, or leave it out for 1%")
    files = train_files + (val_files or [])
    fingerprint = _fingerprint_files(train_files, val_files or [])
    text_bytes = sum(file.stat().st_size * (3 if file.suffix in (".gz", ".parquet") else 1) for file in files)
    if data is None and val_data is None:
        return TextSource(path.parent.name, train_files, val_files, fingerprint, text_bytes)
    stem = "tinyworld" if data is None else re.sub(r"[^\w-]+", "-", path.resolve().name.split(".")[0]) or "text"
    return TextSource(f"{stem}-{fingerprint[:8]}", train_files, val_files, fingerprint, text_bytes)


def _fingerprint_files(*sides: list[Path]) -> str:
    listing = [[[file.name, file.stat().st_size, sha256_file(file)] for file in side] for side in sides]
    return hashlib.sha256(json.dumps([FORMAT_VERSION, *listing]).encode()).hexdigest()


def _manifest_files(folder: Path) -> tuple[list[Path], list[Path]] | None:
    """(train, validation) files of a folder with a manifest, each as long as it says; None without a manifest."""
    manifest_file = folder / "manifest.json"
    if not os.path.isfile(manifest_file):
        return None
    manifest = read_json(manifest_file)
    try:
        sizes = {folder / name: num_bytes for name, (num_bytes, _) in sorted(manifest["files"].items())}
        validation = [folder / name for name in manifest["validation"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f'{manifest_file}: expected {{"files": {{name: [bytes, sha256]}}, '
                        '"validation": [name]}') from None
    for file, num_bytes in sizes.items():
        require_size(file, num_bytes)
    return [file for file in sizes if file not in validation], validation


def write_tinyworld(seed: int) -> Path:
    """The prose of the embedded world as data/tinyworld-<8 hex>/text/, written once. Returns that folder.

    The hex is over the code that writes it, the counts and the seed, since writing it takes over a second.
    """
    from nanochat import tinyworld_prose
    code = [file.read_text() for file in sorted(Path(tinyworld_prose.__file__).parent.glob("tinyworld*.py"))]
    key = hashlib.sha256(json.dumps([FORMAT_VERSION, code, TINYWORLD_DOCUMENTS, seed]).encode()).hexdigest()[:8]
    folder = base_dir() / "data" / f"tinyworld-{key}" / "text"
    if (folder / "manifest.json").exists():
        return folder
    files = {}
    for number, (split, num_documents) in enumerate(TINYWORLD_DOCUMENTS.items()):
        name, texts = f"{number:05d}.jsonl.gz", tinyworld_prose.documents(split, num_documents, seed)
        rows = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
        content = gzip.compress(rows.encode(), mtime=0)  # the same bytes each time: two processes may do this at once
        atomic_write(folder / name, content)
        files[name] = [len(content), hashlib.sha256(content).hexdigest()]
    write_json(folder / "manifest.json", {"format_version": FORMAT_VERSION, "files": files, "validation": [name]})
    return folder


# -----------------------------------------------------------------------------
# What scripts call

def resolve_shards(data: str | None, val_data: str | None, tokenizer: Tokenizer, *, seed: int = 0,
                   out_dir: Path | str | None = None) -> TokenShards:
    """--data and --val-data as token shards: a folder of shards as it is, any text tokenised unless it was before.

    Tokens go below data/<name>/ of the base directory, or to out_dir. All ranks call this together: one builds. Every
    file is compared with its sha256, also when a run is resumed: a minute per 100 GB and rank (dev/LOG.md), against a
    run on tokens that nobody wrote.
    """
    shards = _open_or_build(data, val_data, tokenizer, seed, out_dir)
    shards.verify()
    return shards


def _open_or_build(data, val_data, tokenizer: Tokenizer, seed: int, out_dir) -> TokenShards:
    if data is not None and os.path.isfile(Path(data) / "index.json"):
        if val_data is not None or out_dir is not None:
            flag = "--out" if val_data is None else "--val-data"
            raise UserError(f"{flag} has no use with the token shards {data}; give the text, or leave {flag} out")
        shards = TokenShards(data)
        shards.require_tokenizer(tokenizer)
        return shards
    source = find_text(data, val_data, seed=seed)
    train_docs, val_docs = (tokenize_documents(tokenizer, texts) for texts in source.documents())
    return build_token_shards(source.fingerprint, train_docs, val_docs, tokenizer,
                              out_dir or _tokens_dir(source.name, tokenizer), text_bytes=source.text_bytes)


def _tokens_dir(name: str, tokenizer: Tokenizer) -> Path:
    return base_dir() / "data" / name / f"tokens-{tokenizer.fingerprint[:12]}"
