"""Byte-level BPE: train on text, text to ids, ids to text.

Every byte is a token, and training adds the pair seen most often again and again, so any text encodes and
any ids decode. Text is first cut by a pattern; merges never cross a cut. Two libraries do the heavy work and
are imported where they are used: rustbpe to train, tiktoken to encode. Loading and decoding need neither.

The nine special tokens are the last ids. They exist as ids only: `encode` cannot produce one from text,
whatever a person types, and conversation.py splices them in. There is no padding token and no unknown token.

    >>> tok = Tokenizer.train(["ab ab abc"], vocab_size=267)
    >>> tok.encode("abc"), tok.decode(tok.encode("abc")), tok.bos_id
    ([256, 99], 'abc', 258)
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nanochat.common import UserError
from nanochat.files import read_json, write_json

FORMAT_VERSION = 1
SPECIAL_TOKENS = ("<|bos|>", "<|user_start|>", "<|user_end|>", "<|assistant_start|>", "<|assistant_end|>",
                  "<|python_start|>", "<|python_end|>", "<|output_start|>", "<|output_end|>")
MIN_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)

# GPT-4's pattern (cl100k_base, published in tiktoken_ext/openai_public.py) with two changes.
# Digits one by one, where GPT-4 takes up to three: our small models copy operands into the calculator, and a
# number cut the same way wherever it stands is copied digit by digit. Upstream measured the price at d12 as val_bpb
# 0.969 for {1} against 0.965 for {1,2} and 0.972 for {1,3}; not measured again here.
# Whitespace runs in bounded pieces: `\s+(?!\S)` keeps one stack entry per character of the run, and
# tiktoken 0.14 panics on a million spaces.
PATTERN = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*+"
           r"|\s{0,255}[\r\n]|\s{1,256}(?!\S)|\s")


def clean_text(text: str) -> str:
    """`text` as UTF-8 can hold it: surrogate pairs joined, lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass(frozen=True)
class Tokenizer:
    """Immutable. Ids are the index into `ranks`, then the specials; lower ranks merge first."""
    pattern: str
    ranks: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self):
        known = set(self.ranks)
        if len(known) != len(self.ranks) or not all(bytes([byte]) in known for byte in range(256)):
            raise ValueError("ranks must be distinct and include all 256 single bytes")

    def __reduce__(self):
        """For other processes: what is derived is derived there."""
        return Tokenizer, (self.pattern, self.ranks)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """`vocab_size` counts the 256 bytes and the 9 specials; text that runs out of pairs gives a smaller one.

        Deterministic, whatever the number of threads. Raises UserError below 265.
        """
        if vocab_size < MIN_VOCAB_SIZE:
            raise UserError(f"--vocab-size {vocab_size}: at least {MIN_VOCAB_SIZE} (256 bytes, "
                            f"{len(SPECIAL_TOKENS)} special tokens, and one for every merge)")
        import rustbpe
        trainer = rustbpe.Tokenizer()
        texts = (clean_text(text) for text in texts)
        trainer.train_from_iterator(texts, vocab_size - len(SPECIAL_TOKENS), pattern=PATTERN)
        in_id_order = sorted(trainer.get_mergeable_ranks(), key=lambda token_and_id: token_and_id[1])
        # dict.fromkeys: a+bc and ab+c may both have been merged, and the bytes "abc" need one id
        return cls(PATTERN, tuple(dict.fromkeys(bytes(token) for token, _ in in_id_order)))

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Raises UserError when the file is missing or is not a tokenizer.json that `save` wrote."""
        path = Path(path)
        if not path.is_file():
            raise UserError(f"no tokenizer at {path}; run python -m scripts.tok_train first")
        data = read_json(path)
        try:
            ranks = tuple(base64.b64decode(token, validate=True) for token in data["ranks"])
            tokenizer = cls(data["pattern"], ranks)
            if data != tokenizer._as_json():
                raise ValueError(f"format {FORMAT_VERSION} with the nine special tokens last is accepted")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is not a tokenizer ({type(error).__name__}: {error}); "
                            "run python -m scripts.tok_train --overwrite") from None
        return tokenizer

    def save(self, path: Path | str):
        write_json(Path(path), self._as_json())

    def _as_json(self) -> dict:
        return {"format_version": FORMAT_VERSION, "pattern": self.pattern,
                "ranks": [base64.b64encode(token).decode() for token in self.ranks], "special": dict(self.special)}

    # -------------------------------------------------------------------------
    # Facts

    @property
    def vocab_size(self) -> int:
        """Ids in use, specials included; a model may pad beyond it."""
        return len(self.ranks) + len(SPECIAL_TOKENS)

    @cached_property
    def special(self) -> MappingProxyType:
        """Name to id."""
        return MappingProxyType({name: len(self.ranks) + i for i, name in enumerate(SPECIAL_TOKENS)})

    @property
    def bos_id(self) -> int:
        return self.special["<|bos|>"]

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the canonical JSON: two tokenizers with one fingerprint give the same ids."""
        canonical = json.dumps(self._as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def token_bytes(self) -> np.ndarray:
        """int32 (vocab_size,): bytes of text that each id stands for, 0 for specials. The divisor of bits per byte.

        Counted on the bytes themselves: half a character decoded to U+FFFD would count as 3 (upstream #693).
        """
        return np.array([len(token) for token in self.ranks] + [0] * len(SPECIAL_TOKENS), dtype=np.int32)

    # -------------------------------------------------------------------------
    # Text to ids and back

    @cached_property
    def _encoding(self):
        import tiktoken
        ranks = {token: i for i, token in enumerate(self.ranks)}
        return tiktoken.Encoding("nanochat", pat_str=self.pattern, mergeable_ranks=ranks, special_tokens={})

    def encode(self, text: str) -> list[int]:
        """Ids of ordinary text: never a special token, never bos. Lone surrogates become U+FFFD."""
        return self._encoding.encode_ordinary(clean_text(text))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for every text, on as many threads as there are cores, up to 8."""
        texts = [clean_text(text) for text in texts]
        return self._encoding.encode_ordinary_batch(texts, num_threads=min(8, os.cpu_count() or 1))

    def decode(self, ids: Iterable[int]) -> str:
        """Text with specials by name; bytes that are not UTF-8 become U+FFFD."""
        return self._join(ids, self._named_tokens).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The exact bytes; specials stand for none."""
        return self._join(ids, self._byte_tokens)

    def bytes_of(self, id: int) -> bytes:
        """Of one, as decode_bytes."""
        tokens = self._byte_tokens
        if not 0 <= id < len(tokens):
            raise ValueError(f"id {id} is outside 0 to {len(tokens) - 1}")
        return tokens[id]

    def _join(self, ids: Iterable[int], tokens: tuple[bytes, ...]) -> bytes:
        ids = list(ids)
        if ids and not 0 <= min(ids) <= max(ids) < self.vocab_size:  # a negative index would quietly count from the end
            raise ValueError(f"ids {min(ids)} to {max(ids)} are outside 0 to {self.vocab_size - 1}")
        return b"".join([tokens[i] for i in ids])

    @cached_property
    def _named_tokens(self) -> tuple[bytes, ...]:
        return self.ranks + tuple(name.encode() for name in SPECIAL_TOKENS)

    @cached_property
    def _byte_tokens(self) -> tuple[bytes, ...]:
        return self.ranks + (b"",) * len(SPECIAL_TOKENS)
