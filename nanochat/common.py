"""Ground floor: who we are (rank, device, dtype), where files go, what the hardware can do.

Importing this module does nothing: no process group, no probe, no environment write. Scripts call
`compute_init` once and get facts back. Everything a person can get wrong is a `UserError`, which
the `command` decorator turns into one line on stderr and exit code 2.
"""

import ctypes
import functools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist

DEVICE_TYPES = ("cuda", "mps", "cpu")
SAVE_THREAD = "save"  # the name of the thread that writes a checkpoint (saver.py)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


class UserError(ValueError):
    """Something the person at the keyboard can fix: what came in, what is accepted, what to do next."""


class RunFailed(RuntimeError):
    """A run that cannot go on through no mistake in its command: what was seen, where it stands, what to do next."""


def command(main):
    """Wrap a script's `main(args) -> dict | None`: print the record, turn UserError into exit code 2, RunFailed into 1.

    The record is the last line of stdout, printed by rank 0. Progress belongs on stderr (`print0`).
    """
    @functools.wraps(main)
    def run(args):
        handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
        try:
            record = main(args)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except RunFailed as error:
            print0(f"failed: {error}")
            raise SystemExit(1) from None
        finally:
            compute_cleanup()
            for signum, handler in handlers.items():  # training stages take both (saver.py)
                signal.signal(signum, handler)
        if record is not None and get_dist_info().rank == 0:
            print(json.dumps(record), flush=True)
        return record
    return run


# -----------------------------------------------------------------------------
# Ranks

class DistInfo(NamedTuple):
    rank: int
    local_rank: int
    world: int


def get_dist_info() -> DistInfo:
    """Rank, local rank and world size as torchrun sets them; a plain python process is rank 0 of 1."""
    return DistInfo(*(int(os.environ.get(name, default)) for name, default in
                      (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1))))


def print0(*values, end="\n"):
    """Progress for people: stderr, rank 0 only."""
    if get_dist_info().rank == 0:
        print(*values, end=end, file=sys.stderr, flush=True)


def all_reduce_sum(*values: float, device: torch.device) -> list[float]:
    """Sums of plain numbers over all ranks, in float64 (MPS has none and is always one rank)."""
    if get_dist_info().world == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()


def all_reduce_max(value: float, *, device: torch.device) -> float:
    """The largest over all ranks."""
    if get_dist_info().world == 1:
        return value
    largest = torch.tensor(value, dtype=torch.float64, device=device)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest.item()


def barrier():
    if get_dist_info().world > 1:
        dist.barrier()


def round_up(n: int) -> int:
    """n or a little more: 0 to 8, then four sizes an octave (10, 12, 14, 16, 20, ...).

    For dimensions that change from call to call: oneDNN compiles its bf16 kernels for each shape anew, 2 to 7 ms a
    product, so a server whose steps had any number of tokens would do little else (dev/LOG.md).
    """
    step = 1 << max(0, max(0, n - 1).bit_length() - 3)
    return -(-n // step) * step


def in_short_thread(function: Callable):
    """What function() returns, called in a thread that ends with it.

    libgomp keeps a team of workers for every thread that ever computed something in parallel, and once teams have more
    members than there are cores, all of them sleep between any two operations. So where another thread shall
    compute, this one must not have: on two cores a first token took 4.9 ms instead of 3.1 (dev/LOG.md).
    """
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result()


def compute_init(device_type: str | None = None) -> torch.device:
    """Choose this rank's device and, under torchrun, join the process group. Returns the device."""
    info = get_dist_info()
    device_type = autodetect_device_type() if device_type is None else device_type
    require_device_type(device_type)
    if info.world > 1 and device_type == "mps":
        raise UserError("--device-type mps runs one process; start it with python -m, not torchrun")
    device = torch.device(device_type, info.local_rank) if device_type == "cuda" else torch.device(device_type)
    if device_type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
    torch.set_flush_denormal(True)  # ReLU^2 and zero-initialised projections make denormals, slow on CPU
    if device_type == "cpu":
        keep_freed_memory()
    if info.world > 1 and not dist.is_initialized():
        store = fresh_store(next(dist.rendezvous("env://"))[0], info.rank, info.world)
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo", store=store, rank=info.rank,
                                world_size=info.world)
    return device


def fresh_store(store: dist.Store, rank: int, world: int) -> dist.Store:
    """A part of `store` that the ranks of this launch alone know.

    torchrun --max-restarts keeps its store, and in it the addresses of ranks that died. A rank that reads one before
    its successor has written over it connects to nobody, and all wait until the timeout of 10 or 30 minutes (torch
    2.13; pytorch #135712). So each takes a random name first, and they meet under the roster that all have seen. The
    count of restarts would not do: it is each node's own.
    """
    name, roster = secrets.token_hex(8), ""
    store.set(f"name/{rank}", name)
    while not (name in roster and store.check([f"{roster}/agreed"])):
        if rank == 0:
            store.set("roster", " ".join(store.get(f"name/{other}").decode() for other in range(world)))
        roster = store.get("roster").decode()
        if name in roster:
            store.set(f"{roster}/seen/{rank}", "1")
        if rank == 0 and store.check([f"{roster}/seen/{other}" for other in range(world)]):
            store.set(f"{roster}/agreed", "1")
        time.sleep(0.01)
    return dist.PrefixStore(roster, store)


def keep_freed_memory():
    """Tell glibc not to hand freed blocks back to the kernel: activations of a megabyte and more are otherwise
    mapped and page-faulted anew at every operation. Worth 9 to 18% of the tokens per second (dev/LOG.md).

    The heaps of 64 MB from which threads other than the first allocate obey the padding alone: without it each is unmapped
    whenever it falls empty, and some runs of the engine's thread took 16 ms a step instead of 4.
    """
    if sys.platform != "linux":
        return
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, 2 ** 30)
        mallopt(M_TRIM_THRESHOLD, 2 ** 31 - 1)
        mallopt(M_TOP_PAD, 2 ** 26)


def compute_cleanup():
    """Also after an error: a save in progress ends first, it needs its process group."""
    for thread in threading.enumerate():
        if thread.name == SAVE_THREAD:
            thread.join()
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


# -----------------------------------------------------------------------------
# Devices and precision

def autodetect_device_type() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def require_device_type(device_type: str):
    is_there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available, "cpu": lambda: True}
    if device_type not in is_there:
        raise UserError(f"--device-type {device_type}: choose one of {', '.join(DEVICE_TYPES)}")
    if not is_there[device_type]():
        raise UserError(f"--device-type {device_type} is not available on this machine; leave the flag out to choose")


def has_fast_bf16(device: torch.device) -> bool:
    """True where bf16 matmuls run on hardware. On an AVX2-only CPU they are 44 to 499 times slower than
    fp32 (pytorch #146508), so a CPU is probed for AMX or AVX512-BF16, never assumed."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return False


def choose_dtype(name: str | None, device: torch.device, *, can_be_int8: bool = False) -> torch.dtype:
    """Activation dtype. None: bf16 where the hardware has it, else fp32. f16 is never offered: ReLU^2
    activations pass its largest number (65,504). Asking for bf16 without the hardware is refused.
    can_be_int8: for a model that will not be trained, whose weights may be int8 (quant.py)."""
    if name is None:
        return torch.bfloat16 if has_fast_bf16(device) else torch.float32
    if name == "int8" and can_be_int8:
        return torch.int8
    accepted = ", ".join((*DTYPES, "int8") if can_be_int8 else DTYPES)
    if name == "int8":
        raise UserError(f"--dtype int8: for serving a trained model; here choose one of {accepted}")
    if name not in DTYPES:
        raise UserError(f"--dtype {name}: choose one of {accepted}")
    if name == "bfloat16" and not has_fast_bf16(device):
        raise UserError(f"--dtype bfloat16: this {device.type} device has no bf16 matmul; use --dtype float32")
    if name == "float64" and device.type == "mps":
        raise UserError("--dtype float64: mps has no float64; use --dtype float32")
    return DTYPES[name]


def activation_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """What a model served in `dtype` computes in: int8 is a dtype of weights alone."""
    return choose_dtype(None, device) if dtype == torch.int8 else dtype


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def has_compiler() -> bool:
    """torch.compile needs a C++ compiler that runs (on macOS the name may be a stub that asks to install one) and
    Python's headers; without them we stay eager."""
    compiler = next(filter(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++", "c++")), None)
    if compiler is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        return False
    return subprocess.run([compiler, "--version"], capture_output=True).returncode == 0


def require_compiler(device: torch.device):
    """For a flag --compile that a person gave."""
    if device.type != "cpu":
        raise UserError(f"--compile: decoding is compiled on a CPU alone, not on {device.type}; leave it out")
    if not has_compiler():
        raise UserError("--compile: no C++ compiler, or no Python.h; install g++ and python3-dev, or leave it out")


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu" and Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
        return f"{model} ({os.cpu_count()} cores)"
    return device.type


# Dense bf16 peak FLOP/s and HBM bytes/s from the vendors' data sheets; matched as substrings, longest first.
PEAKS = {
    "H200": (989e12, 4.8e12), "H100 PCIe": (756e12, 2.0e12), "H100 NVL": (835e12, 3.9e12), "H100": (989e12, 3.35e12),
    "GH200": (989e12, 4.0e12), "B200": (2250e12, 8.0e12), "A100": (312e12, 2.0e12), "L40S": (362e12, 0.864e12),
    "L4": (121e12, 0.3e12), "RTX 5090": (209e12, 1.79e12), "RTX 4090": (165e12, 1.01e12), "RTX 3090": (71e12, 0.936e12),
}


def peak_flops(name: str) -> float | None:
    """Peak dense bf16 FLOP/s of one device, or None when the device is not in the table (then no MFU)."""
    return next((PEAKS[key][0] for key in sorted(PEAKS, key=len, reverse=True) if key in name), None)


# -----------------------------------------------------------------------------
# Places

def base_dir() -> Path:
    """Everything this project writes lives below here: data/, tokenizer/, runs/, report/."""
    return Path(os.environ.get("NANOCHAT_BASE_DIR") or Path.home() / ".cache" / "nanochat").expanduser()


def tokenizer_path() -> Path:
    return base_dir() / "tokenizer" / "tokenizer.json"
