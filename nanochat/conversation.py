"""What a conversation is, its token ids and loss mask, and how chat files are read.

    {"messages": [{"role": "system"|"user"|"assistant", "content": str | [part]}], "id"?, "source"?}
    part = {"type": "text"|"python"|"python_output", "text": str}, in assistant content only

At most one system message, first; then user and assistant take turns, the user begins. A python part is what the
assistant gives to its tool and is followed by the python_output that came back. As ids:

    bos (user_start [system "\\n\\n"] text user_end
         assistant_start (text | python_start x python_end output_start y output_end)* assistant_end)*

The mask is 1 where the assistant speaks (its text, python_start to python_end, assistant_end): those ids are
trained and sampled. It is 0 on what others say, tool outputs included. Every text is encoded by itself, so a
message has the same ids in any chat and lengths add up. Rendering never truncates; `fit_context` drops whole turns.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from nanochat.common import UserError
from nanochat.tokenizer import Tokenizer

ROLES = ("system", "user", "assistant")
PART_TYPES = ("text", "python", "python_output")


# -----------------------------------------------------------------------------
# Reading

def read_jsonl(path: Path) -> Iterator[tuple[int, object]]:
    """(line number, value) of every line with something on it; .gz is unpacked. UserError names file and line."""
    line_number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as f:
            for line_number, line in enumerate(f, start=1):
                if line := line.decode("utf-8-sig").strip():
                    yield line_number, json.loads(line)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{line_number}: not UTF-8 (byte {error.start + 1} of the line)") from None
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
        raise UserError(f"{path}:{line_number}: not JSON ({error})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read after line {line_number} ({error})") from None


def read_chats(path: Path | str) -> Iterator[dict]:
    """Conversations of a .jsonl or .jsonl.gz file, one per line; a bare list is read as its messages.

    Raises UserError "file:line: what" at the first row that is no conversation, and when there is none at all.
    A conversation without an assistant turn is one: whoever trains on it finds no target and counts it.
    """
    path, is_empty = Path(path), True
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise UserError(f"{path}: chats are read from .jsonl or .jsonl.gz, one conversation per line")
    for line_number, row in read_jsonl(path):
        conversation = {"messages": row} if isinstance(row, list) else row
        try:
            validate(conversation)
        except UserError as error:
            raise UserError(f"{path}:{line_number}: {error}") from None
        is_empty = False
        yield conversation
    if is_empty:
        raise UserError(f"{path}: no conversations in it")


def validate(conversation: dict):
    """Raises UserError with what is wrong, in words for the person who wrote the row; unknown keys are left alone."""
    messages = conversation.get("messages") if isinstance(conversation, dict) else None
    if not isinstance(messages, list) or not messages:
        raise UserError('not a conversation: expected {"messages": [...]} or a list of messages, not empty, '
                        f"got {_show(conversation)}")
    for number, message in enumerate(messages, start=1):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise UserError(f"message {number}: expected a role ({', '.join(ROLES)}) and content, got {_show(message)}")
        _validate_content(message.get("content"), f"message {number} ({role})", role == "assistant")
    _validate_order([message["role"] for message in messages])


def _validate_order(roles: list[str]):
    has_system = roles[0] == "system"
    if roles == ["system"]:
        raise UserError("a system message alone: expected a user message after it")
    for number, role in enumerate(roles[has_system:]):
        expected = ("user", "assistant")[number % 2]
        if role != expected:
            raise UserError(f"message {number + 1 + has_system} is from {role}: expected {expected} "
                            "(a system message only first, then user and assistant in turn)")


def _validate_content(content, where: str, may_have_parts: bool):
    if isinstance(content, str):
        if not content.strip():
            raise UserError(f"{where}: empty content")
    elif isinstance(content, list) and may_have_parts:
        _validate_parts(content, where)
    else:
        accepted = "text or a list of parts" if may_have_parts else "text (parts are for the assistant)"
        raise UserError(f"{where}: content must be {accepted}, got {_show(content)}")


def _validate_parts(parts: list, where: str):
    if not parts:
        raise UserError(f"{where}: empty content")
    types = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") not in PART_TYPES or not isinstance(part.get("text"), str):
            raise UserError(f'{where}: expected {{"type": {"|".join(PART_TYPES)}, "text": str}}, got {_show(part)}')
        if not part["text"] and part["type"] != "python_output":  # a tool may well print nothing
            raise UserError(f"{where}: empty {part['type']} part")
        types.append(part["type"])
    if any((a == "python") != (b == "python_output") for a, b in zip([None, *types], [*types, None], strict=True)):
        raise UserError(f"{where}: every python part needs its python_output right after it, and the other way round")


def _show(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def visible_text(content: str | list[dict]) -> str:
    """What a reader sees of a message: its text, tool calls and their outputs left out."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


# -----------------------------------------------------------------------------
# Ids

def render(tok: Tokenizer, conversation: dict) -> tuple[list[int], list[int]]:
    """(ids, mask), of one length and never truncated. Raises UserError when it is no conversation."""
    validate(conversation)
    system, turns = _split_system(conversation["messages"])
    pieces = [([tok.bos_id], 0)]
    for number, message in enumerate(turns):
        pieces += _message_pieces(tok, message, system if number == 0 else None)
    ids = [i for piece, _ in pieces for i in piece]
    mask = [is_target for piece, is_target in pieces for _ in piece]
    return ids, mask


def render_prompt(tok: Tokenizer, conversation: dict) -> list[int]:
    """Ids that end in assistant_start, ready for an answer. Raises UserError unless the user spoke last."""
    ids, _ = render(tok, conversation)
    if conversation["messages"][-1]["role"] != "user":
        raise UserError("the last message must be from the user to be answered")
    return ids + [tok.special["<|assistant_start|>"]]


def fit_context(tok: Tokenizer, conversation: dict, max_tokens: int) -> dict:
    """The conversation without its oldest user+assistant pairs, as few dropped as make it fit; system stays.

    What must fit in `max_tokens` is `render_prompt` when the user spoke last, else `render`; leave room for the
    answer. Raises UserError when the last turn alone, with the system message, is too long.
    """
    validate(conversation)
    messages = conversation["messages"]
    system, turns = _split_system(messages)
    fixed = 1 + (turns[-1]["role"] == "user") + (len(_system_ids(tok, system)) if system is not None else 0)
    lengths = [sum(len(ids) for ids, _ in _message_pieces(tok, message, None)) for message in turns]
    start, total = 0, fixed + sum(lengths)
    while total > max_tokens and start + 2 < len(turns):
        total -= lengths[start] + lengths[start + 1]
        start += 2
    if total > max_tokens:
        raise UserError(f"the last turn alone is {total} tokens and at most {max_tokens} fit; shorten the message")
    return {**conversation, "messages": messages[:len(messages) - len(turns)] + turns[start:]}


def _split_system(messages: list[dict]) -> tuple[str | None, list[dict]]:
    if messages[0]["role"] == "system":
        return messages[0]["content"], messages[1:]
    return None, messages


def _system_ids(tok: Tokenizer, system: str) -> list[int]:
    return tok.encode(system + "\n\n")


def _message_pieces(tok: Tokenizer, message: dict, system: str | None) -> list[tuple[list[int], int]]:
    """(ids, mask bit) of the pieces of one user or assistant message."""
    special = tok.special
    if message["role"] == "user":
        before = [] if system is None else _system_ids(tok, system)
        text = tok.encode(message["content"])
        return [([special["<|user_start|>"], *before, *text, special["<|user_end|>"]], 0)]
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    pieces = [_part_piece(tok, part) for part in parts]
    return [([special["<|assistant_start|>"]], 0), *pieces, ([special["<|assistant_end|>"]], 1)]


def _part_piece(tok: Tokenizer, part: dict) -> tuple[list[int], int]:
    special, ids = tok.special, tok.encode(part["text"])
    match part["type"]:
        case "text":
            return ids, 1
        case "python":
            return [special["<|python_start|>"], *ids, special["<|python_end|>"]], 1
        case "python_output":
            return [special["<|output_start|>"], *ids, special["<|output_end|>"]], 0
