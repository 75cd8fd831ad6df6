"""Conversations to train on: a person's own file, and SmolTalk (460,000 of them; Ben Allal et al. 2025, arXiv 2502.02737).

As a task a conversation asks for its last assistant turn, kind "lm": is it what the model would have said? What it is
for is `training_chat`, the whole conversation with system message, tool calls and every turn. A user's last word
without an answer is cut off; conversations in which the assistant says nothing are left out and counted.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from nanochat.common import UserError
from nanochat.conversation import read_chats, validate, visible_text
from nanochat.task import Example, Task
from tasks.rows import ParquetRows, Source, load_rows

CHAT_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


class CustomChats(Task):
    """The conversations of a .jsonl, .jsonl.gz or .parquet file or a folder of them, see conversation.py; UserError
    "file:line: what" for other rows."""
    kind = "lm"

    def __init__(self, path: Path | str, split: str = "train"):
        self.name, self.split = str(path), split
        chats = [ending_in_answer(chat) for file in chat_files(Path(path)) for chat in read_file(file)]
        self.chats = [chat for chat in chats if chat]
        self.num_silent = len(chats) - len(self.chats)
        if not self.chats:
            raise UserError(f"{path}: no conversation in it has an assistant turn")

    def __len__(self) -> int:
        return len(self.chats)

    def __getitem__(self, index: int) -> Example:
        return last_turn_of(self.chats[index])

    def training_chat(self, index: int) -> dict:
        return {**self.chats[index], "source": self.name}


def chat_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder by name, not recursive."""
    if not os.path.isdir(path):  # os.path answers False where pathlib raises
        return [path]
    files = sorted(file for file in path.iterdir()
                   if file.name.endswith(CHAT_SUFFIXES) and not file.name.startswith("."))
    if not files:
        raise UserError(f"{path}: no conversations in this folder; accepted are {', '.join(CHAT_SUFFIXES)}")
    return files


def read_file(file: Path) -> Iterator[dict]:
    """Of .parquet the column "messages"; everything else as read_chats has it."""
    if file.suffix != ".parquet":
        yield from read_chats(file)
        return
    for number, row in enumerate(ParquetRows([file]), start=1):
        try:
            validate(row)
        except UserError as error:
            raise UserError(f"{file}, row {number}: {error}") from None
        yield row


class SmolTalk(Task):
    """Rows are checked when they are asked for: there are too many to read first."""
    kind, name = "lm", "smoltalk"
    source = Source("smoltalk", "HuggingFaceTB/smoltalk", "all", {"train": "train", "test": "test"})

    def __init__(self, split: str, data: str | None = None):
        self.split, self.rows = split, load_rows(self.source, split, data)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        return last_turn_of(self.training_chat(index))

    def training_chat(self, index: int) -> dict:
        row = self.rows[index]
        chat = {"messages": row.get("messages") if isinstance(row, dict) else row, "source": self.name}
        try:
            validate(chat)
        except UserError as error:
            raise UserError(f"smoltalk {self.split}, row {index + 1}: {error}") from None
        if (chat := ending_in_answer(chat)) is None:
            raise UserError(f"smoltalk {self.split}, row {index + 1}: no assistant turn in it")
        return chat


def ending_in_answer(chat: dict) -> dict | None:
    """Without a last user turn that nobody answered; None when no answer is left."""
    messages = chat["messages"][:-1] if chat["messages"][-1]["role"] == "user" else chat["messages"]
    return {**chat, "messages": messages} if messages and messages[-1]["role"] == "assistant" else None


def last_turn_of(chat: dict) -> Example:
    messages = chat["messages"]
    return Example({"messages": messages[:-1]}, answer=visible_text(messages[-1]["content"]))
