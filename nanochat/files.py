"""Files that are either whole or absent: atomic writes, hashes, locks, and a look at the free space."""

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

from nanochat.common import UserError


def fsync_dir(path: Path):
    """A rename is durable only once the folder that holds the name is on disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def atomic_write(path: Path, data: bytes | str):
    """Readers see the old file or the new one, never half of it, also after a power cut."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f"{path.name}.tmp-{uuid.uuid4().hex[:8]}")
    try:
        with open(temp, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temp, path)
    finally:
        temp.unlink(missing_ok=True)
    fsync_dir(path.parent)


def write_json(path: Path, value):
    atomic_write(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it and run the step that wrote it again") from None


def sha256_file(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@contextlib.contextmanager
def file_lock(path: Path):
    """Exclusive between processes of one machine; the kernel lets go when the holder dies."""
    import fcntl  # not on Windows, so imported where it is used
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def require_free_space(folder: Path, num_bytes: int, what: str):
    """Notice a full disk before the run instead of at its first save. `folder` need not exist yet."""
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < num_bytes:
        raise UserError(f"{what} needs {num_bytes / 1e6:,.0f} MB but {existing} has {free / 1e6:,.0f} MB free; "
                        "free some space or set NANOCHAT_BASE_DIR to another disk")
