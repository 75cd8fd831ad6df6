"""A person's reward file that misbehaves in every way: each costs one answer."""

import json
import re
import signal
import subprocess
import sys

import pytest

from nanochat.common import UserError
from nanochat.engine import Completion
from nanochat.policy import policy_sequences
from nanochat.rollouts import reward_groups
from tasks.reward_file import RewardError, RewardFile

NASTY = '''
import os, re, sys, time
calls = []
def prompts(split):
    return [{"prompt": f"{split}?", "right": "yes"}, {"prompt": [{"role": "user", "content": "more?"}]}]
def reward(item, answer):
    calls.append(answer)
    print("printed by the file")
    sys.stdin.read()
    if answer == "raise": raise KeyError("lost")
    if answer == "exit": sys.exit(3)
    if answer == "die": os.kill(os.getpid(), 9)
    if answer == "loop":
        while True: pass
    if answer == "regex": re.match(r"(a+)+$", "a" * 40 + "b")   # holds the interpreter's lock
    if answer == "nothing": return None
    if answer == "words": return "very good"
    if answer == "deep": __import__("random").choice([])
    if answer == "count": return len(calls)
    return answer == item["right"]
'''


@pytest.fixture
def nasty(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.reward_file.NUM_PROCESSES", 1)
    path = tmp_path / "nasty.py"
    path.write_text(NASTY)
    task = RewardFile(str(path), "train", timeout_sec=0.5)
    yield task
    task.idle.get().end()


def test_every_way_to_fail_costs_one_call(nasty):
    example = nasty[0]
    assert example.conversation == {"messages": [{"role": "user", "content": "train?"}]} and len(nasty) == 2
    for answer, words in (("raise", "KeyError: 'lost' (line 10)"), ("exit", "exit code 3"), ("die", "exit code -9"),
                          ("loop", "no value within 0.5 s"), ("regex", "no value within 0.5 s"),
                          ("nothing", "reward() returned None, not a number from 0 to 1"),
                          ("words", "reward() returned 'very good', not a number"),
                          ("deep", "IndexError: Cannot choose from an empty sequence (line 18)")):
        with pytest.raises(RewardError, match=re.escape(words)):
            nasty.grade(example, answer)
        assert nasty.grade(example, "yes") == 1.0 and nasty.grade(example, "no") == 0.0


def test_in_a_group_what_fails_leaves_the_others_what_they_would_have_been_without_it(nasty):
    texts = ["yes", "loop", "no", "raise", "die", "no"]
    group = [Completion([number], text, [], [0.0], [False], "stop") for number, text in enumerate(texts)]
    rewards, = reward_groups([(nasty, nasty[0])], [group])
    assert [reward.value for reward in rewards] == [1.0, None, 0.0, None, None, 0.0]
    alone = policy_sequences([7], [group[0], group[2], group[5]], [1.0, 0.0, 0.0])
    assert str(policy_sequences([7], group, [reward.value for reward in rewards])) == str(alone)  # NaN is not itself


def test_what_hung_is_gone_and_a_process_serves_many_calls(nasty):
    process = nasty.idle.get()
    nasty.idle.put(process)
    first = process.process
    with pytest.raises(RewardError):
        nasty.grade(nasty[0], "loop")
    assert first.returncode == -signal.SIGKILL
    assert [nasty.grade(nasty[0], "count") for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("answer", ["loop", "regex"])
def test_a_busy_process_whose_parent_is_gone_ends_by_its_alarm(tmp_path, answer):
    (tmp_path / "nasty.py").write_text(NASTY)
    code = "import sys; from tasks import reward_child as child; child.GRACE_SEC = 1; child.main(sys.argv[1], '60')"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "nasty.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.communicate(json.dumps(["reward", [{}, answer], 0]).encode() + b"\n", timeout=60)
    assert process.returncode == -signal.SIGALRM


@pytest.mark.parametrize("text, words", [
    ("def prompts(split): return [1", "'[' was never closed (bad.py, line 1)"),
    ("def prompts(split): return []", "no function reward"),
    ("def prompts(split): return []\ndef reward(item, answer): return 1", "a list, not empty"),
    ("def prompts(split): return ['hello']\ndef reward(item, answer): return 1", "what the user says"),
    ("def prompts(split): return [{'prompt': ''}]\ndef reward(item, answer): return 1", "empty content"),
    ("def prompts(split): return {1, 2}\ndef reward(item, answer): return 1", "JSON serializable"),
    ("def prompts(split): raise OSError('no disk')\ndef reward(item, answer): return 1", "no disk (line 1)"),
    ("import nowhere_at_all", "ModuleNotFoundError"),
])
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr("tasks.reward_file.NUM_PROCESSES", 1)
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UserError) as found:
        RewardFile(str(tmp_path / "bad.py"), "train", 1.0)
    assert words in str(found.value) and "bad.py" in str(found.value) and "\n" not in str(found.value)


def test_the_example_grades():
    task = RewardFile("dev/reward_example.py", "validation", 5.0)
    word = task[0].meta["item"]["word"]
    said = (f"{word}, {word}, {word}.", f"I say {word}.", "no")
    assert [task.grade(task[0], text) for text in said] == [1.0, 0.5, 0.0]
