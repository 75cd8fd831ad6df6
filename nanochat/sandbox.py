"""Run Python that a language model wrote: a process of its own that the kernel, not Python, holds back.

    >>> run("print(int(input()) * 2)", stdin="21").stdout
    '42\\n'

The code gets the standard library, `stdin`, an empty directory and limits on time, memory, disk, threads and output. It gets
no network, no other file, no other process, no environment, no descriptor of ours. `run` starts one bare interpreter per call
(`sandbox_child.py`) and may be called from any thread: no signals, no fork of this process. `SECURITY.md` says what that
holds off and what it does not. Three levels, the first that this machine allows:

    namespaces   its own mounts, pids, network, ipc and users; a directory in memory to write to; up to 32 threads
    bubblewrap   the same made by `bwrap`, where it may and we may not; the directory is read-only
    landlock     no namespaces (most containers): Landlock alone guards the files; the directory is read-only

All of them have the seccomp list of allowed system calls (no fork, no exec, no socket that leads anywhere), limits, a session
of their own and no new privileges, and Landlock wherever the kernel has it. Below that `run` refuses: it never runs the code
with less. Where no file system of the right size can be had, the directory is read-only, because RLIMIT_FSIZE
bounds each file but not how many there are.

No fork server: a start costs what starting Python costs and a little more (`python -m dev.sandbox_cost`, dev/LOG.md), and
nothing of ours stays alive between two calls.
"""

import contextlib
import functools
import math
import marshal
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nanochat.common import UserError
from nanochat.seccomp import ARCHS

LEVELS = ("namespaces", "bubblewrap", "landlock")  # in the order of preference
BOX = "/box"  # where the code finds itself, in a file system of its own; at level "landlock", in a folder of ours
MIN_MEMORY_BYTES = 64 << 20  # the interpreter alone maps about 30 MB
MAX_THREADS = 32
SETUP_SEC = 20.0             # a machine may be busy; a start takes about 20 ms on an idle one
MAX_REPORT_BYTES = 4096
GRACE_SEC = 2.0              # for the supervisor to clean up before everything is killed from here
FIRST_UID, NUM_UIDS = 1_900_000_000, 200_000_000  # users that neither a distribution nor systemd hands out
# Our code comes in through a descriptor, so nothing of the checkout needs to be visible inside.
BOOT = """
import marshal, sys
with open({fd}, "rb") as f:
    modules, settings = marshal.load(f)
for name, code in modules:
    sys.modules[name] = module = type(sys)(name)
    exec(code, module.__dict__)
module.main(settings)
"""
PROBE = """
import os, socket
attempts = [os.fork, lambda: os.listdir("/etc"), lambda: open("/etc/passwd"), lambda: os.kill(os.getppid(), 0),
            lambda: socket.socket(socket.AF_INET), lambda: socket.socket(socket.AF_UNIX),
            lambda: os.execv("/bin/true", ["true"])]
for attempt in attempts:
    try:
        attempt()
    except OSError:
        continue
    raise SystemExit(3)
import ctypes, decimal, json, re
print("held")
"""


class Result(NamedTuple):
    """What became of the code."""
    status: str  # ok (exit code 0) | error (another one) | timeout | output (too much of it) | killed (by a signal)
    stdout: str  # at most output_bytes, as UTF-8 with replacements
    stderr: str
    exit_code: int  # of the process, -n when signal n ended it
    wall_sec: float  # from the first line of the code to its end, without the start
    level: str  # the barriers that were up, such as "namespaces+landlock+seccomp"


class SandboxError(RuntimeError):
    """The sandbox did not come up at a level; the code has not been run."""


@dataclass(frozen=True)
class Limits:
    """What the code may use up."""
    timeout_sec: float = 5.0        # from its first line
    memory_bytes: int = 256 << 20   # address space of the process
    disk_bytes: int = 16 << 20      # its files together; they lie in memory, beside the former
    output_bytes: int = 64 << 10    # each of stdout and stderr; more ends the program

    def __post_init__(self):
        if not 0 < self.timeout_sec < 86400:
            raise UserError(f"timeout_sec {self.timeout_sec}: give seconds above 0 and below a day")
        if self.memory_bytes < MIN_MEMORY_BYTES:
            raise UserError(f"memory_bytes {self.memory_bytes}: the interpreter needs {MIN_MEMORY_BYTES} or more")
        if self.disk_bytes < 4096:
            raise UserError(f"disk_bytes {self.disk_bytes}: give 4096 or more")
        if self.output_bytes < 0:
            raise UserError(f"output_bytes {self.output_bytes}: give 0 or more")

    def rlimits(self) -> dict[str, int]:
        """For setrlimit(2). Processor time is a second guard of the deadline; the sandbox's own processes count as
        threads; pending signals and queues are the user's, not the process's, so others would lack them."""
        return {"RLIMIT_AS": self.memory_bytes, "RLIMIT_DATA": self.memory_bytes, "RLIMIT_FSIZE": self.disk_bytes,
                "RLIMIT_CPU": math.ceil(self.timeout_sec) + 1, "RLIMIT_NPROC": MAX_THREADS + 3, "RLIMIT_CORE": 0,
                "RLIMIT_MEMLOCK": 0, "RLIMIT_MSGQUEUE": 0, "RLIMIT_SIGPENDING": 64, "RLIMIT_NICE": 0, "RLIMIT_RTPRIO": 0}


def run(code: str, *, stdin: str = "", timeout_sec: float = Limits.timeout_sec, memory_bytes: int = Limits.memory_bytes,
        disk_bytes: int = Limits.disk_bytes, output_bytes: int = Limits.output_bytes, level: str | None = None) -> Result:
    """Run `code` as a program and wait for it. Thread-safe; waits for `timeout_sec` and the time of a start at most.

    `level` None takes the best that this machine allows. Raises UserError for a limit out of range and where the machine
    cannot hold the code back; then it has not been run.
    """
    limits = Limits(timeout_sec, memory_bytes, disk_bytes, output_bytes)
    if level is not None and level not in LEVELS:
        raise UserError(f"level {level}: choose one of {', '.join(LEVELS)}, or None for the best of this machine")
    require_linux()
    level = level or best_level()
    try:
        return run_at(level, code, stdin, limits)
    except SandboxError as error:
        raise UserError(f"the sandbox does not come up at level {level}: {error}; {what_helps()}") from None


# -----------------------------------------------------------------------------
# What this machine can do

def require_linux():
    machine = os.uname().machine if hasattr(os, "uname") else ""
    if not sys.platform.startswith("linux") or machine not in ARCHS:
        raise UserError(f"code that a model wrote runs on Linux ({', '.join(ARCHS)}) only, and this is {sys.platform} "
                        f"{machine}; {what_helps()}")


@functools.cache
def best_level() -> str:
    """The first level at which a program runs and is held back, tried once per process. UserError when there is none."""
    reasons = []
    for level in LEVELS:
        reason = why_not(level)
        if reason is None:
            return level
        reasons.append(f"{level}: {reason}")
    raise UserError(f"this machine cannot hold back code that a model wrote ({'; '.join(reasons)}); {what_helps()}")


def why_not(level: str) -> str | None:
    """None when a program comes up at `level` and its attempts to get out fail."""
    try:
        result = run_at(level, PROBE, "", Limits(timeout_sec=SETUP_SEC))
    except SandboxError as error:
        return str(error)
    return None if result.stdout == "held\n" else f"a trial got out or failed ({result.status} {result.exit_code})"


def what_helps() -> str:
    if sys.platform == "win32":
        return "run nanochat in WSL 2"
    if not sys.platform.startswith("linux"):
        return "run nanochat in a Linux virtual machine or container"
    return "Linux 6.2 or later with Landlock, an installed bubblewrap, or unprivileged user namespaces would help"


def readable_paths() -> list[tuple[str, str]]:
    """What the code may read, as (path, real path): Python's library, the system's libraries, time zones, and devices that
    hold nothing. Paths inside another one of the list are left out."""
    wanted = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", f"{sys.base_prefix}/lib", sysconfig.get_path("stdlib"),
              sysconfig.get_path("platstdlib"), "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
              "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
    found = []
    for path in sorted({os.path.normpath(path) for path in wanted if os.path.exists(path)}):
        if not any(path.startswith(f"{outer}/") for outer, _ in found):
            found.append((path, os.path.realpath(path)))
    return found


# -----------------------------------------------------------------------------
# One run

def run_at(level: str, code: str, stdin: str, limits: Limits) -> Result:
    """SandboxError when the sandbox does not come up; then the code has not been run."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(empty_folder()) if level == "landlock" else BOX
        report_read, report_write = os.pipe()
        stack.callback(os.close, report_read)
        settings = {"level": level, "code": code, "folder": folder, "readable": readable_paths(),
                    "disk_bytes": limits.disk_bytes, "rlimits": limits.rlimits(),
                    "uid": FIRST_UID + secrets.randbelow(NUM_UIDS), "report_fd": report_write}
        try:
            process = start(settings, stdin)
        finally:
            os.close(report_write)
        return Watch(process, report_read, limits.output_bytes).result(limits.timeout_sec)


@contextlib.contextmanager
def empty_folder():
    """It stays empty: nothing may write to it. Others may look, since the code may be another user than we are."""
    with tempfile.TemporaryDirectory(prefix="nanochat-sandbox-") as folder:
        os.chmod(folder, 0o755)
        yield folder


@contextlib.contextmanager
def memory_file(data: bytes):
    """A descriptor to read `data` from, which nobody can change or grow: no writer that could block, nothing on disk."""
    import fcntl  # not on Windows, so imported where it is used
    fd = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(fd, "wb", closefd=False) as f:
            f.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        yield fd
    finally:
        os.close(fd)


@functools.cache
def child_modules() -> list:
    """Our two files as code, in the order of their imports."""
    names = ("seccomp", "sandbox_child")
    files = [Path(__file__).with_name(f"{name}.py") for name in names]
    return [("nanochat", compile("", "nanochat", "exec")),
            *((f"nanochat.{name}", compile(path.read_text(), path.name, "exec")) for name, path in zip(names, files))]


def start(settings: dict, stdin: str) -> subprocess.Popen:
    """A bare Python that runs `sandbox_child.main(settings)`. -I would do, but for the seed of hashes, which is fixed: the
    same program gives the same answer twice. Its stdin is our hold on it: it ends when we let go of that or die."""
    with contextlib.ExitStack() as stack:
        stdin_fd = stack.enter_context(memory_file(stdin.encode(errors="replace")))
        boot_fd = stack.enter_context(memory_file(marshal.dumps((child_modules(), settings | {"stdin_fd": stdin_fd}))))
        command = [python(), "-s", "-P", "-S", "-B", "-X", "utf8", "-c", BOOT.format(fd=boot_fd)]
        if settings["level"] == "bubblewrap":
            command = bubblewrap(settings["readable"]) + command
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env={"PYTHONHASHSEED": "0"}, pass_fds=(boot_fd, stdin_fd, settings["report_fd"]),
                                    start_new_session=True, cwd="/")
        except OSError as error:
            raise SandboxError(f"{command[0]} does not start: {error}") from None


def python() -> str:
    """The interpreter itself: a virtual environment's link adds nothing to a start without site-packages."""
    return os.path.realpath(sys.executable)


def bubblewrap(readable: list[tuple[str, str]]) -> list[str]:
    """The command line before Python's. Nothing can be written to: --tmpfs bounds no number of files."""
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError("bwrap is not installed")
    folders = {str(parent) for path, _ in readable for parent in Path(path).parents} - {"/"}
    places = [word for folder in sorted(folders) for word in ("--dir", folder)]  # root's bwrap makes them 0700 unasked
    for path, real in readable:
        places += ["--dev-bind" if path.startswith("/dev/") else "--ro-bind", real, path]
    # Root needs the two to become somebody else inside; anybody else gets a user namespace.
    user = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if os.getuid() == 0 else ["--unshare-user"]
    return [program, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", *user, "--die-with-parent",
            *places, "--ro-bind", python(), python(), "--dir", BOX, "--remount-ro", "/", "--chdir", BOX, "--"]


def status_of(exit_code: int) -> str:
    if exit_code == -signal.SIGXCPU:
        return "timeout"
    return "ok" if exit_code == 0 else "error" if exit_code > 0 else "killed"


class Watch:
    """A started process until its end: reads what it says, with a limit, and ends it at the deadline."""

    def __init__(self, process: subprocess.Popen, report_fd: int, output_bytes: int):
        self.process, self.output_bytes = process, output_bytes
        self.report, self.stdout, self.stderr = bytearray(), bytearray(), bytearray()
        self.verdict = None   # why we ended it; None while it ends by itself
        self.ready_at = None  # when the barriers were up and the code began
        self.pipes = selectors.DefaultSelector()
        for pipe, into in ((report_fd, self.report), (process.stdout, self.stdout), (process.stderr, self.stderr)):
            self.pipes.register(pipe, selectors.EVENT_READ, into)

    def result(self, timeout_sec: float) -> Result:
        try:
            self.read_until_end(timeout_sec)
        finally:
            ended_at = time.monotonic()
            self.clean_up()
        words = [line.partition(" ") for line in self.report.decode(errors="replace").splitlines()]
        lines = {first: rest for first, _, rest in words}
        if "ready" not in lines:
            raise SandboxError(lines.get("failed") or " ".join(self.text(self.stderr).split()) or "no word from it in time")
        exit_code = os.waitstatus_to_exitcode(int(lines.get("end", signal.SIGKILL)))
        return Result(self.verdict or status_of(exit_code), self.text(self.stdout), self.text(self.stderr), exit_code,
                      ended_at - self.ready_at, lines["ready"])

    def text(self, data: bytearray) -> str:
        return data[:self.output_bytes].decode(errors="replace")

    def read_until_end(self, timeout_sec: float):
        """Until all pipes are closed, which they are when every process that held them is gone."""
        deadline = time.monotonic() + SETUP_SEC
        while self.pipes.get_map():
            for key, _ in self.pipes.select(max(0.0, deadline - time.monotonic())):
                self.read(key)
            now = time.monotonic()
            if self.ready_at is None and self.report.startswith(b"ready"):
                self.ready_at, deadline = now, now + timeout_sec
            is_flooded = max(len(self.stdout), len(self.stderr)) > self.output_bytes
            if now >= deadline and self.verdict:
                return
            if self.verdict is None and (now >= deadline or is_flooded):
                self.verdict, deadline = "output" if is_flooded else "timeout", now + GRACE_SEC
                self.process.stdin.close()

    def read(self, key: selectors.SelectorKey):
        data = os.read(key.fd, 1 << 16)
        if not data:
            self.pipes.unregister(key.fileobj)
        limit = MAX_REPORT_BYTES if key.data is self.report else self.output_bytes + 1
        key.data.extend(data[:max(0, limit - len(key.data))])

    def clean_up(self):
        """Nothing outlives the call, whatever has happened: the whole session is killed and its leader reaped."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.pipes.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
