"""Answers that a model does not write but finds likely: choices, schemas and continuations, through `engine.score`.

Of several texts the model means the one with the highest mean log-probability per token; of a single text it is asked
whether every token is its most likely one. Text is cut into tokens as DCLM's evaluation does it (mosaicml/llm-foundry,
llmfoundry/eval/datasets/in_context_learning_evaluation.py @ 019c58a): preamble, context and continuation each by
itself, the context without trailing space, the continuation with a leading one. Too long a context loses its
beginning. Left out: other ways to normalise, such as by bytes or by the unconditional probability.
"""

from typing import NamedTuple

from nanochat.conversation import render_prompt
from nanochat.engine import Engine, Score
from nanochat.task import Example

CHUNK = 256  # examples whose prompts are in memory at once: some 2 million ids in CORE's longest task
EVAL_ROWS = 64  # texts that are scored side by side


class Verdict(NamedTuple):
    score: float             # 1 when right
    text: str                # what the model chose; of an "lm" example the text asked about if right, else ""
    logprobs: list[float]    # per choice, mean over its tokens
    is_cut: bool             # the context did not fit


class Question(NamedTuple):
    pairs: list[tuple[list[int], list[int]]]  # (prefix ids, continuation ids), one per choice
    is_cut: bool


def judge(engine: Engine, kind: str, examples: list[Example]) -> list[Verdict]:
    """One verdict per example. Every prompt of CHUNK examples goes to the engine in one call."""
    verdicts = []
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start:start + CHUNK]
        questions = [build_question(engine.tokenizer, kind, example, engine.max_context) for example in chunk]
        scores = iter(engine.score([pair for question in questions for pair in question.pairs]))
        for example, question in zip(chunk, questions):
            verdicts.append(decide(kind, example, [next(scores) for _ in question.pairs], question.is_cut))
    return verdicts


def build_question(tokenizer, kind: str, example: Example, max_context: int) -> Question:
    fitted = [fit(prefix, continuation, max_context) for prefix, continuation in texts_as_ids(tokenizer, kind, example)]
    return Question([pair for pair, _ in fitted], any(is_cut for _, is_cut in fitted))


def texts_as_ids(tokenizer, kind: str, example: Example) -> list[tuple[list[int], list[int]]]:
    def text_ids(context: str) -> list[int]:
        preamble = tokenizer.encode(example.meta.get("preamble", ""))
        return [tokenizer.bos_id, *preamble, *tokenizer.encode(context.rstrip())]

    if kind == "schema":
        continuation = tokenizer.encode(spaced(example.meta["continuation"]))
        return [(text_ids(context), continuation) for context in example.choices]
    answers = example.choices if kind == "choice" else (example.answer,)
    if example.conversation is not None:
        prefix = render_prompt(tokenizer, example.conversation)
        return [(prefix, tokenizer.encode(answer)) for answer in answers]
    prefix = text_ids(example.context)
    return [(prefix, tokenizer.encode(spaced(answer))) for answer in answers]


def spaced(text: str) -> str:
    return text if text.startswith(" ") else " " + text


def fit(prefix: list[int], continuation: list[int], max_context: int):
    """((prefix, continuation), is_cut), together at most max_context ids: the prefix keeps its first id, bos, and as
    much of its end as fits; a continuation that leaves no room at all keeps its beginning."""
    room = max_context - len(continuation)
    if room >= len(prefix):
        return (prefix, continuation), False
    if room < 1:
        return (prefix[:1], continuation[:max_context - 1]), True
    return (prefix[:1] + prefix[len(prefix) - room + 1:], continuation), True


def decide(kind: str, example: Example, scores: list[Score], is_cut: bool) -> Verdict:
    means = [sum(score.logprobs) / len(score.logprobs) for score in scores]
    if kind == "lm":
        is_right = scores[0].is_greedy
        return Verdict(float(is_right), example.answer if is_right else "", means, is_cut)
    chosen = max(range(len(means)), key=means.__getitem__)
    return Verdict(float(chosen == example.answer), example.choices[chosen], means, is_cut)
