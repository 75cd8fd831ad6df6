"""Records of a long evaluation as it goes: several ranks write side by side, and what was killed continues.

Every rank appends to a part of its own, a line an item. Whoever starts reads all parts and the finished file, whatever
number of ranks wrote them. A record names in `key` all that decided it, such as weights and dtype; those of other keys are
not looked at, and go when an evaluation finishes. Left out: two evaluations of one model at the same time.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from nanochat.files import atomic_write


def make_key(*decided_by) -> str:
    return hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()[:16]


class RecordLog:
    """Records of `path`, a .jsonl file, and of its parts beside it. A record is {task, key, index, ...}."""

    def __init__(self, path: Path, rank: int):
        self.path, self.part = path, path.with_suffix(f".part-{rank}.jsonl")

    def read(self, keys: dict[str, str]) -> dict[str, dict[int, dict]]:
        """{task: {index: record}} of what was written under these keys, by task."""
        found = {task: {} for task in keys}
        for path in (self.path, *self._parts()):
            for record in whole_records(path):
                if keys.get(record["task"]) == record.get("key"):
                    found[record["task"]][record["index"]] = record
        return found

    def append(self, records: list[dict]):
        """On disk when this returns, save for a power cut. What follows a line torn by a kill starts on a new one."""
        with open(self.part, "ab+") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - 1))
            is_torn = f.read(1) not in (b"", b"\n")
            f.write(("\n" * is_torn + "".join(json.dumps(record) + "\n" for record in records)).encode())

    def finish(self, records: Iterable[dict]):
        """Nothing but these, in one file."""
        atomic_write(self.path, "".join(json.dumps(record) + "\n" for record in records))
        for part in self._parts():
            part.unlink()

    def _parts(self) -> list[Path]:
        return sorted(self.path.parent.glob(f"{self.path.stem}.part-*.jsonl"))


def whole_records(path: Path) -> list[dict]:
    """Of a file that may be absent or hold torn lines."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and {"task", "index"} <= record.keys():
            records.append(record)
    return records
