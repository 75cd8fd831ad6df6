"""Rows of public data sets, split by split: from a folder of .jsonl or .parquet files, or through `datasets` from the hub.

    rows = load_rows(Source("gsm8k", hub="openai/gsm8k", config="main", splits={"train": "train"}), "train", "../data")

A data folder holds one folder per task (or is that folder) with files named after the splits: `train.jsonl`,
`gsm8k-train.jsonl`, `gsm8k_train.parquet`, or as a snapshot of the hub has them, `main/train-00000-of-00001.parquet`.
Without one, $NANOCHAT_TASK_DATA names it; without that, the hub is asked. Nothing falls back from a folder to the hub.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanochat.common import UserError
from nanochat.conversation import read_jsonl
from nanochat.task import Example, Task, require_split

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


@dataclass(frozen=True)
class Source:
    """Where a task's rows are."""
    name: str
    hub: str | None = None                                # repository there
    config: str | None = None                             # its configuration
    splits: dict[str, str] = field(default_factory=dict)  # our name of a split -> the hub's
    folder: str | None = None                             # in a data folder; None is the task's name
    stem: str | None = None                               # what its files' names begin with; None is the task's name
    other_names: dict[str, str] = field(default_factory=dict)  # split -> a file name of the authors' without the split


def task_data_dir(data: str | None) -> str | None:
    """The folder with the tasks' files: as given, else $NANOCHAT_TASK_DATA; None is the hub."""
    return data or os.environ.get("NANOCHAT_TASK_DATA") or None


def load_rows(source: Source, split: str, data: str | None = None) -> Sequence[dict]:
    """The rows of one official split in their order. UserError names the splits there are."""
    folder = task_data_dir(data)
    if folder is None:
        return load_from_hub(source, split)
    there = {name: files for name in source.splits if (files := split_files(source, name, folder))}
    if not there:
        raise UserError(f"{source.name}: no files of it in {folder}; expected for instance "
                        f"{source.folder or source.name}/{next(iter(source.splits))}.jsonl (or {', '.join(SUFFIXES[1:])})")
    return read_files(there[require_split(source.name, split, there)])


def split_files(source: Source, split: str, folder: str) -> list[Path]:
    stem, theirs = source.stem or source.name, source.splits[split]
    names = (f"{stem}-{split}", f"{stem}_{split}", f"{source.config}/{theirs}-*", f"{stem}/{theirs}-*", split,
             f"{theirs}-*", source.other_names.get(split, split))
    for place in (Path(folder, source.folder or source.name), Path(folder)):
        for name in names:
            for suffix in SUFFIXES:
                if os.path.isdir(place) and (files := sorted(place.glob(name + suffix))):
                    return files
    return []


def read_files(files: list[Path]) -> Sequence[dict]:
    if files[0].suffix == ".parquet":
        return ParquetRows(files)
    rows = [row for file in files for _, row in read_jsonl(file)]
    if not rows:
        raise UserError(f"{files[0]}: no rows in it")
    return rows


class ParquetRows(Sequence):
    """Rows of parquet files as dicts, decoded one by one: half a million conversations as dicts need gigabytes."""

    def __init__(self, files: list[Path]):
        import pyarrow
        from pyarrow.parquet import read_table
        try:
            self.table = pyarrow.concat_tables([read_table(file) for file in files])
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{files[0]}: not a whole parquet file ({str(error).partition(chr(10))[0]})") from None

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> dict:
        return self.table.slice(range(len(self))[index], 1).to_pylist()[0]


def load_from_hub(source: Source, split: str) -> Sequence[dict]:
    if source.hub is None:
        raise UserError(f"{source.name}: not on the hub; give its folder with --task-data or $NANOCHAT_TASK_DATA")
    theirs = source.splits[require_split(source.name, split, source.splits)]
    try:
        from datasets import load_dataset
        return load_dataset(source.hub, source.config, split=theirs)
    except Exception as error:  # the hub's clients raise what their HTTP library raises, and have changed it twice
        reason = str(error).partition("\n")[0]
        raise UserError(f"{source.name}: {source.hub} cannot be loaded from the hub ({type(error).__name__}: {reason}); "
                        "give a folder with its files by --task-data or $NANOCHAT_TASK_DATA") from None


class RowsTask(Task):
    """A task whose item i is row i. Subclasses give `source` and `example(row)`."""
    source: Source

    def __init__(self, split: str, data: str | None = None):
        self.split, self.name = split, self.source.name
        self.rows = load_rows(self.source, split, data)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Example:
        row = self.rows[index]
        try:
            return self.example(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{self.name} {self.split}, row {index + 1}: not a row of this data set "
                            f"({type(error).__name__}: {error}); got {repr(row)[:80]}") from None

    def example(self, row: dict) -> Example:
        raise NotImplementedError
