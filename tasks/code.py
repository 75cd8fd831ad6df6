"""Programs that a model wrote, taken out of its answer and run against tests in the sandbox.

A program counts when it reaches a line after the tests that prints a word drawn for this run: one that exits early
with code 0 does not.
"""

import re
import secrets

FENCE = re.compile(r"```[ \t]*(?:python|py)?[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
TIMEOUT_SEC = 5


def code_of(answer: str) -> str:
    """The first fenced block, closed or cut off, else all of the answer.

    >>> code_of("Here:\\n```python\\nx = 1\\n```\\nDone."), code_of("x = 2")
    ('x = 1\\n', 'x = 2')
    """
    found = FENCE.search(answer)
    return found[1] if found else answer


def fenced(code: str) -> str:
    return f"```python\n{code.strip()}\n```"


def passes(program: str, tests: str) -> bool:
    """Whether the program runs and the tests after it do. Raises UserError when this machine cannot hold code back."""
    from nanochat import sandbox  # where it is used: a machine without isolation still has every other task
    word = secrets.token_hex(16)
    result = sandbox.run(f"{program}\n\n{tests}\n\nprint({word!r})\n", timeout_sec=TIMEOUT_SEC)
    return result.status == "ok" and result.stdout.splitlines()[-1:] == [word]
