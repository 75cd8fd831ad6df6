"""Truth: what the codes are for, tested by a reader that knows none of their vectors: least squares."""

import pytest
import torch

from nanochat.gpt import GPT
from nanochat.letter_codes import letter_codes, letter_features
from nanochat.tinyworld_puzzles import COMMON_WORDS, RARE_WORDS
from tests.test_gpt import tiny_gpt


def codes(tokens, channels=256, seed=0):
    return letter_codes(tokens, channels, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_letters_of_words_never_seen_are_read_as_those_of_other_words_are(place):
    """A linear reader of the letter at a place, fitted on common words, reads rare ones. Noise as large as the letters'
    own part of an embedding would leave it at a guess, one in twenty-six."""
    words = [word.encode() for word in (*COMMON_WORDS, *RARE_WORDS) if len(word) > place]
    num_fitted = sum(len(word) > place for word in COMMON_WORDS)
    letters = torch.tensor([word[place] for word in words])
    embeddings = codes(words) + torch.empty(len(words), 256).normal_(generator=torch.Generator().manual_seed(1)) / 8
    reader = torch.linalg.lstsq(embeddings[:num_fitted], torch.eye(256)[letters[:num_fitted]]).solution
    read = (embeddings[num_fitted:] @ reader).argmax(1)
    assert (read == letters[num_fitted:]).float().mean() > 0.9


def test_words_of_one_stem_are_neighbours_wherever_they_stand():
    train, trained, capital, behind_a_space, other = codes([b"train", b"trained", b"Train", b" train", b"mouse"])
    likeness = [float(train @ x) / 256 for x in (trained, capital, behind_a_space, other)]
    assert min(likeness[:3]) > 0.55 and abs(likeness[3]) < 0.3


def test_every_token_has_a_row_of_mean_square_one_also_odd_ones():
    tokens = [bytes([i]) for i in range(256)] + [b" ", b"  ", b"a" * 40, " Ünï".encode(), b"\xff\xfe"]
    rows = codes(tokens, channels=64)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(len(tokens)), atol=1e-4, rtol=0)
    assert letter_features(b" ") != letter_features(b"") and letter_features(b"A") != letter_features(b"a")


def test_a_fresh_model_begins_with_them_and_all_else_is_as_without():
    plain, spelled, again = (GPT(tiny_gpt().config) for _ in range(3))
    plain.init_weights(3)
    for model in (spelled, again):
        model.init_weights(3, tokens=[b"ab", b" c"], letters=8.0)
    for name, p in plain.named_parameters():
        assert torch.equal(spelled.get_parameter(name), again.get_parameter(name))
        assert name == "wte.weight" or torch.equal(p, spelled.get_parameter(name))
    added = spelled.wte.weight - plain.wte.weight
    torch.testing.assert_close(added[:2].square().mean(1), torch.full((2,), 64.0), atol=0.1, rtol=0)
    assert not added[2:].any()
