"""Where embeddings begin: as the letters of their tokens.

To a model a token is a number; that " robber" has two b's it learns from being told, one token at a time. An embedding
that begins as a sum of random vectors, one for each letter at its place, carries its spelling from the first step: what
reads the second letter of one token reads that of all others, also of those nobody ever spelled, and "train", "trained"
and " training" begin as neighbours. Nothing else knows of it, neither the forward pass nor an engine.
Random vectors of places summed up: Plate, Holographic Reduced Representations, 1995. That trained embeddings know part of
their spelling, and that it must be learnt: Itzhak and Levy, arXiv:2108.11193.
"""

from typing import Sequence

import torch
import torch.nn.functional as F

MAX_LETTERS = 14    # of a token, from its beginning; what comes after is not told
LENGTHS = MAX_LETTERS * 256             # where features of each kind begin; those before are letters at their places
SPACE = LENGTHS + MAX_LETTERS + 1
CAPITAL = SPACE + 1
PAIRS = CAPITAL + 1
NUM_FEATURES = PAIRS + 256 * 256


def letter_codes(tokens: Sequence[bytes], channels: int, generator: torch.Generator) -> torch.Tensor:
    """fp32 (len(tokens), channels), every row of mean square 1: the sum of random vectors, one for each of the token's
    features. Equal generators give equal codes."""
    features, offsets = [], []
    for token in tokens:
        offsets.append(len(features))
        features += letter_features(token)
    vectors = torch.empty(NUM_FEATURES, channels).normal_(generator=generator)
    return F.rms_norm(F.embedding_bag(torch.tensor(features), vectors, torch.tensor(offsets), mode="sum"), (channels,))


def letter_features(token: bytes) -> list[int]:
    """The numbers, below NUM_FEATURES, of what a token has: letters at their places, letters next to each other (so that
    the one just written finds the next), its length, a space in front, a capital.

    >>> sorted(set(letter_features(b" Ab")) - set(letter_features(b"ab"))) == [SPACE, CAPITAL]
    True
    """
    word = token.removeprefix(b" ")
    letters = word.lower()[:MAX_LETTERS]
    framed = b"^" + letters + b"$"
    return ([256 * place + letter for place, letter in enumerate(letters)]
            + [PAIRS + 256 * first + second for first, second in zip(framed, framed[1:])]
            + [LENGTHS + len(letters)] + [SPACE] * (word != token) + [CAPITAL] * (word != word.lower()))
