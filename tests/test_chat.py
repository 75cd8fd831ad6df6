"""One turn of a chat: what fits, what was said, how long it took."""

import pytest
from fake_engine import FakeTokenizer, call, deltas

from nanochat.chat import Answer, closed_parts, fit_prompt
from nanochat.common import UserError
from nanochat.conversation import validate
from nanochat.engine import SamplingParams

TOK = FakeTokenizer()


def turn(role, length):
    return {"role": role, "content": role[0] * length}


def test_an_answer_gets_what_the_prompt_leaves():
    # bos, user_start, 20 bytes, user_end, assistant_start = 24 ids
    ids, params = fit_prompt(TOK, [turn("user", 20)], SamplingParams(max_tokens=500), 100)
    assert len(ids) == 24 and params.max_tokens == 76
    ids, params = fit_prompt(TOK, [turn("user", 20)], SamplingParams(max_tokens=7), 100)
    assert params.max_tokens == 7


def test_old_turns_go_before_the_promised_quarter_does():
    # a pair is 22 + 22 ids, the last turn 22, bos and assistant_start 2: 68 fit in 100 - 25 ids, 112 do not
    pair = [turn("user", 20), turn("assistant", 20)]
    ids, _ = fit_prompt(TOK, [*pair, *pair, turn("user", 20)], SamplingParams(), 100)
    assert len(ids) == 68
    ids, _ = fit_prompt(TOK, [*pair, *pair, turn("user", 20)], SamplingParams(max_tokens=1), 113)
    assert len(ids) == 112


def test_a_last_turn_that_cannot_fit_is_the_persons_mistake():
    assert len(fit_prompt(TOK, [turn("user", 71)], SamplingParams(), 100)[0]) == 75
    with pytest.raises(UserError, match="76 tokens and at most 75 fit"):
        fit_prompt(TOK, [turn("user", 72)], SamplingParams(), 100)


def test_timings_are_those_of_the_clock():
    times = iter([10.0, 12.5, 13.0, 14.5, 14.5])
    answer = Answer(clock=lambda: next(times))
    for delta in deltas("a", "b", "c"):
        answer.add(delta)
    # first token after 2.5 s, the other two in the 2 s from 12.5 to 14.5
    assert answer.timings() == {"ttft_sec": 2.5, "tok_per_sec": 1.0, "num_tokens": 3}


def test_nothing_measured_is_null():
    answer = Answer()
    for delta in deltas(finish_reason="error", error="full"):
        answer.add(delta)
    assert answer.timings() == {"ttft_sec": None, "tok_per_sec": None, "num_tokens": 0}
    assert (answer.message(), answer.finish_reason, answer.error) == (None, "error", "full")


def test_pieces_of_an_answer_become_a_turn():
    answer = Answer()
    for delta in deltas("Well, ", "so: ", *call("6*7", "42"), "42", "."):
        answer.add(delta)
    parts = [{"type": "text", "text": "Well, so: "}, {"type": "python", "text": "6*7"},
             {"type": "python_output", "text": "42"}, {"type": "text", "text": "42."}]
    assert answer.message() == {"role": "assistant", "content": parts}
    assert answer.text == "Well, so: 42."


def test_whatever_is_kept_of_an_answer_can_stand_in_a_history():
    """Every way to cut a stream of parts, and calls without code or output, must leave a valid turn or nothing."""
    kinds = {"t": "text", "p": "python", "o": "python_output"}
    for pattern in ("tpot", "tp", "p", "o", "pp", "ppo", "poo", "pot", "tptpo", "topo"):
        for blanks in range(2 ** len(pattern)):
            parts = [{"type": kinds[k], "text": "" if blanks >> i & 1 else "x"} for i, k in enumerate(pattern)]
            if kept := closed_parts(parts):
                validate({"messages": [turn("user", 3), {"role": "assistant", "content": kept}]})
    said = {"type": "text", "text": "x"}
    assert closed_parts([said, {"type": "python", "text": "1+"}]) == [said]
