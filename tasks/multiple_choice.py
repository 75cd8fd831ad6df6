"""A question with lettered choices, answered by a letter: how every multiple-choice task is put in a chat.

The letter stands alone on the line's beginning and alone in the answer, so that both are the same token.
"""

from string import ascii_uppercase

from nanochat.task import Example

INSTRUCTION = "Answer with the letter only."


def choice_example(question: str, options: list[str], answer: int, **meta) -> Example:
    """Raises ValueError when the answer is none of the options."""
    if not 0 <= answer < len(options) <= len(ascii_uppercase):
        raise ValueError(f"answer {answer} of {len(options)} choices")
    letters = tuple(ascii_uppercase[:len(options)])
    lines = [question.strip(), "", *(f"{letter}) {option}" for letter, option in zip(letters, options)), "", INSTRUCTION]
    conversation = {"messages": [{"role": "user", "content": "\n".join(lines)}]}
    return Example(conversation, choices=letters, answer=answer, meta={"question": question, "options": list(options), **meta})
