"""Engines without a model for tests of evaluations: one whose answers are known, and one that guesses."""

import random

from nanochat.engine import Completion, Score
from nanochat.tokenizer import Tokenizer


def byte_tokenizer() -> Tokenizer:
    """Every byte is a token, so ids can be read back as text."""
    return Tokenizer.train(["a"], vocab_size=265)


class Rigged:
    """Finds likely what `knows(prefix text, continuation text)` says (a log-probability per token, 0 is certain), and
    says `says(prompt text)`."""
    max_context = 1 << 20

    def __init__(self, knows=None, says=None, tokenizer=None):
        self.knows, self.says, self.tokenizer = knows, says, tokenizer or byte_tokenizer()
        self.score_calls = []

    def score(self, pairs) -> list[Score]:
        self.score_calls.append(len(pairs))
        assert all(prefix and continuation for prefix, continuation in pairs)
        return [self.score_one(*map(self.tokenizer.decode, pair), len(pair[1])) for pair in pairs]

    def score_one(self, prefix: str, continuation: str, n: int) -> Score:
        logprob = self.knows(prefix.removeprefix("<|bos|>"), continuation)
        return Score([logprob] * n, logprob == 0)

    def generate(self, prompts, params) -> list[list[Completion]]:
        texts = [self.says(self.tokenizer.decode(prompt)) for prompt in prompts]
        return [[Completion([1], text, [{"type": "text", "text": text}], None, [False], "stop")] for text in texts]


class Guesser(Rigged):
    """Finds anything as likely as anything else, by chance; never sure of all tokens of a text."""

    def __init__(self, seed: int = 0, tokenizer=None):
        rng = random.Random(seed)
        super().__init__(knows=lambda prefix, continuation: -rng.random() - 1e-9, says=lambda prompt: "I guess so.",
                         tokenizer=tokenizer)
