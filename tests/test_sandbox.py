"""Truth: a hundred attempts to get out, each of which gets out when nothing holds it back; the kernel's own headers for the
numbers; MBPP's reference solutions for programs that must not notice where they are."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import site
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nanochat import sandbox, seccomp
from nanochat.common import UserError
from sandbox_corpus import ATTEMPTS

ROOT = Path(__file__).resolve().parents[1]
IS_LINUX = sys.platform.startswith("linux")
linux = pytest.mark.skipif(not IS_LINUX, reason="the sandbox is Linux's")
as_root = pytest.mark.skipif(not IS_LINUX or os.getuid() != 0, reason="needs root")


def closed_folder(path: str) -> str | None:
    """The outermost folder on the way to `path` that others may not enter, such as root's home."""
    return next((str(p) for p in reversed(Path(path).parents) if not p.stat().st_mode & 0o001), None)


def opened(folder: str) -> str:
    """Shell for a mount namespace in which anybody can get at Python, its packages and this checkout: what stands in the way
    is covered by an empty folder, and they are bound into that."""
    places = [path for path in (sys.base_prefix, site.getsitepackages()[0], str(ROOT)) if closed_folder(path)]
    steps = [f"mkdir '{folder}/{n}' && mount --bind '{path}' '{folder}/{n}'" for n, path in enumerate(places)]
    steps += [f"mount -t tmpfs -o mode=755 none '{closed}'" for closed in sorted({closed_folder(path) for path in places})]
    steps += [f"mkdir -p '{path}' && mount --bind '{folder}/{n}' '{path}'" for n, path in enumerate(places)]
    return " && ".join([*steps, f"cd '{ROOT}'"])


def python_as_user(*args: str) -> subprocess.CompletedProcess:
    """Run Python as `nobody`, or as who we are when that is not root."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{site.getsitepackages()[0]}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [os.path.realpath(sys.executable), *args]
    if os.getuid() != 0:
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs unshare and setpriv (util-linux) to become an ordinary user")
    with tempfile.TemporaryDirectory(prefix="sandbox-user-") as folder:
        become = f'{opened(folder)} && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'
        return subprocess.run(["unshare", "-m", "sh", "-c", become, "sh", *command], env=env, capture_output=True, text=True)


class Attacks:
    """What a run of the corpus as one user has shown."""

    def __init__(self, done: subprocess.CompletedProcess):
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.results = {(line["level"], line["name"]): line["result"] for line in lines if "result" in line}
        self.controls = {line["name"]: line["control"] for line in lines if "control" in line}
        self.summary = next(line for line in lines if "levels" in line)


def attack_as_root(which: str) -> Attacks:
    return Attacks(subprocess.run([sys.executable, "tests/sandbox_corpus.py", "root", which], cwd=ROOT,
                                  env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True))


@pytest.fixture(scope="module")
def attacks_as_root():
    return attack_as_root("best")


@pytest.fixture(scope="module")
def attacks_as_user():
    return Attacks(python_as_user("tests/sandbox_corpus.py", "user", "all"))


def check_held(attacks: Attacks, name: str):
    for level in attacks.summary["levels"]:
        result = attacks.results[level, name]
        assert result["stdout"].startswith("tried"), (level, result)
        assert "ESCAPED" not in result["stdout"], (level, result)
        assert result["status"] in ATTEMPTS[name].status.split(), (level, result)
        assert result["level"].startswith(level) and "seccomp" in result["level"]


@as_root
@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempt_fails_as_root(attacks_as_root, name):
    check_held(attacks_as_root, name)


@linux
@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempt_fails_as_an_ordinary_user(attacks_as_user, name):
    check_held(attacks_as_user, name)


@as_root
@pytest.mark.slow
def test_attempts_fail_as_root_at_every_level():
    """The default run has root's best level, and all of an ordinary user's."""
    attacks = attack_as_root("all")
    for name in ATTEMPTS:
        check_held(attacks, name)
    assert attacks.summary["after"] == attacks.summary["before"]


@linux
def test_nothing_around_it_was_changed(attacks_as_user):
    """Signals, limits and priority of the parent; the secret's text, mode, time and links; the folder around it."""
    assert attacks_as_user.summary["after"] == attacks_as_user.summary["before"]
    assert attacks_as_user.summary["levels"]


@as_root
def test_nothing_around_it_was_changed_by_roots_runs(attacks_as_root):
    assert attacks_as_root.summary["after"] == attacks_as_root.summary["before"]
    assert attacks_as_root.summary["levels"]


@linux
@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control == "anyone"])
def test_attempt_succeeds_where_nothing_holds_it(attacks_as_user, name):
    assert "ESCAPED" in attacks_as_user.controls[name], attacks_as_user.controls[name]


@as_root
@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control == "root"])
def test_attempt_succeeds_where_nothing_holds_root(attacks_as_root, name):
    assert "ESCAPED" in attacks_as_root.controls[name], attacks_as_root.controls[name]


# -----------------------------------------------------------------------------
# The filter, on a machine of our own: both architectures on any

def decide(program: list, machine: str, number: int, *args: int, arch: int | None = None) -> str:
    """Run the BPF program as the kernel would."""
    values = [arg & (1 << 64) - 1 for arg in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<iIQ6Q", number, seccomp.ARCHS[machine][0] if arch is None else arch, 0, *values)
    at = accumulator = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x54:
            accumulator &= k
        elif code == 0x06:
            return {0x7FFF0000: "allow", 0x80000000: "kill"}.get(k, k & 0xFFFF)
        else:
            at += yes if {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: accumulator & k}[code] else no


@pytest.fixture(params=["x86_64", "aarch64"])
def ask(request):
    """ask(name or number, *args, ...) -> "allow", "kill" or an errno, for both machines."""
    column = seccomp.ARCHS[request.param][1]
    tables = seccomp.READS, seccomp.WRITES, seccomp.CHECKED
    numbers = {name: number for table in tables for name, number in seccomp.call_numbers(table, column).items()}
    def answer(call, *args, can_write=True, has_threads=True, arch=None):
        program = seccomp.filter_program(request.param, 77, can_write=can_write, has_threads=has_threads)
        return decide(program, request.param, numbers.get(call, call), *args, arch=arch)
    answer.machine, answer.numbers = request.param, numbers
    return answer


THREAD = 0x3D0F00  # what glibc passes to clone for a thread


def test_filter_lets_honest_calls_pass(ask):
    assert {ask(name) for name in ("read", "write", "openat", "mmap", "futex", "exit_group", "mkdirat")} == {"allow"}
    assert ask("clone", THREAD) == ask("kill", 77, 9) == ask("tgkill", 77, 78, 6) == ask("prlimit64", 0) == "allow"
    assert ask("ioctl", 1, 0x5401) == ask("fcntl", 0, 3) == ask("sendto", 3, 0, 0, 0, 0) == "allow"
    assert ask("socketpair", 1, 1 | 0o2000000) == "allow"  # with SOCK_CLOEXEC


def test_filter_refuses_processes_and_namespaces(ask):
    assert ask("clone", 17) == ask("clone", 0x10000000 | 17) == ask("clone", THREAD | 0x10000000) == seccomp.EPERM
    assert ask("clone", THREAD, has_threads=False) == seccomp.EPERM
    assert ask("clone3", 0, 88) == seccomp.ENOSYS
    # fork, vfork, execve, execveat, unshare, setns, ptrace, socket, connect, memfd_create, pidfd_open, where there are such
    refused = {"x86_64": (57, 58, 59, 322, 272, 308, 101, 41, 42, 319, 434),
               "aarch64": (221, 281, 97, 268, 117, 198, 203, 279, 434)}
    assert {ask(number) for number in refused[ask.machine]} == {seccomp.EPERM}


def test_filter_refuses_arguments_that_reach_others(ask):
    others = [ask("kill", 1, 9), ask("kill", 0, 9), ask("kill", -1, 9), ask("tgkill", 1, 1, 9), ask("prlimit64", 1),
              ask("fcntl", 0, 8, 1), ask("fcntl", 0, 10, 9), ask("fcntl", 0, 15),
              ask("socketpair", 1, 2), ask("socketpair", 2, 1), ask("sendto", 3, 0, 0, 0, 1), ask("sendto", 3, 0, 0, 0, 1 << 32)]
    assert set(others) == {seccomp.EPERM}
    assert ask("ioctl", 0, 0x5412) == seccomp.ENOTTY


def test_filter_kills_calls_of_another_machine(ask):
    other = {"x86_64": (0x40000003, 0xC00000B7), "aarch64": (0x40000028, 0xC000003E)}[ask.machine]
    assert {ask(0, arch=arch) for arch in other} == {"kill"}
    if ask.machine == "x86_64":
        assert ask(0x40000000) == ask(0x40000000 + 39) == "kill"


def test_filter_takes_changes_by_name_away(ask):
    """Where Landlock alone guards the files: it does not rule over modes and times."""
    names = seccomp.call_numbers(seccomp.WRITES, seccomp.ARCHS[ask.machine][1])
    assert {ask(name, can_write=True) for name in names} == {"allow"}
    assert {ask(name, can_write=False) for name in names} == {seccomp.EPERM}


def test_filter_refuses_what_it_does_not_know(ask):
    known = set(ask.numbers.values())
    assert {ask(number) for number in range(600) if number not in known} == {seccomp.EPERM, seccomp.ENOSYS}


@pytest.mark.parametrize("machine, header", [("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
                                             ("aarch64", "/usr/include/asm-generic/unistd.h")])
def test_numbers_are_the_kernels(machine, header):
    if not Path(header).exists():
        pytest.skip("no kernel headers here")
    words = [line.split() for line in Path(header).read_text().splitlines() if line.startswith("#define __NR")]
    kernels = {word[1].removeprefix("__NR3264_").removeprefix("__NR_"): int(word[2])
               for word in words if len(word) > 2 and word[2].isdigit()}
    kernels["newfstatat"] = kernels.get("newfstatat", kernels.get("fstatat"))
    for table in (seccomp.READS, seccomp.WRITES, seccomp.CHECKED):
        for name, number in seccomp.call_numbers(table, seccomp.ARCHS[machine][1]).items():
            assert kernels[name] == number, name


# -----------------------------------------------------------------------------
# Honest programs

@pytest.fixture(params=sandbox.LEVELS)
def level(request):
    if not IS_LINUX:
        pytest.skip("the sandbox is Linux's")
    reason = sandbox.why_not(request.param)
    if reason is not None:
        pytest.skip(reason)
    return request.param


@pytest.mark.parametrize("code, stdout", [
    ("print(int(input()) * 2)", "42\n"), ("print('\u00e9\u4e16')", "\u00e9\u4e16\n"), ("print(__name__)", "__main__\n"),
    ("import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    print(1)\nasyncio.run(f())", "1\n"),
    ("import dataclasses, typing\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 3\nprint(A(), typing.get_type_hints(A))",
     "A(x=3) {'x': <class 'int'>}\n"),
    ("import decimal, json, re, sqlite3, zlib, hashlib, random, datetime, ctypes\nprint(json.dumps(decimal.Decimal(1) == 1))",
     "true\n"),
    ("import os; print(os.listdir(), open('/dev/null', 'w').write('x'))", "[] 1\n"),
    ("import atexit; atexit.register(print, 'bye'); print('hi')", "hi\nbye\n"), ("print(1); exit()", "1\n"),
    ("import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: print('mine'))\nos.kill(os.getpid(), signal.SIGUSR1)",
     "mine\n")])
def test_an_honest_program_notices_nothing(level, code, stdout):
    result = sandbox.run(code, stdin="21", level=level)
    assert (result.status, result.stdout, result.stderr, result.exit_code) == ("ok", stdout, "", 0)


@pytest.mark.parametrize("code, status, exit_code, stderr", [
    ("1 / 0", "error", 1, "ZeroDivisionError"), ("def", "error", 1, "SyntaxError"), ("\0", "error", 1, "null bytes"),
    ("", "ok", 0, ""), ("\ud800", "error", 1, "Unicode"), ("import sys; sys.exit(3)", "error", 3, ""),
    ("import sys; sys.exit('words')", "error", 1, "words"),
    ("import os; os.kill(os.getpid(), 9)", "killed", -9, ""), ("import os; os.abort()", "killed", -6, ""),
    ("import os; os._exit(5)", "error", 5, ""), ("x = [0] * 10 ** 9", "error", 1, "MemoryError")])
def test_how_it_ended_is_told(level, code, status, exit_code, stderr):
    result = sandbox.run(code, level=level)
    assert (result.status, result.exit_code) == (status, exit_code) and stderr in result.stderr
    assert "sandbox" not in result.stderr  # a traceback shows the program's own lines


def test_a_directory_to_write_to_is_fresh_and_bounded():
    """At the level that can bound it; the others have a read-only one (the corpus writes there)."""
    if not IS_LINUX or sandbox.why_not("namespaces") is not None:
        pytest.skip("no namespaces here")
    code = ("import os, tempfile\nprint(os.getcwd(), os.listdir())\n"
            "with tempfile.TemporaryFile() as f:\n    f.write(b'x' * 100000)\n"
            "open('a', 'w').write('kept'); print(open('a').read(), oct(os.stat('.').st_mode))")
    for _ in range(2):
        assert sandbox.run(code, level="namespaces").stdout == "/box []\nkept 0o40777\n"
    too_much = "for name in 'ab':\n    with open(name, 'wb') as f:\n        f.write(bytes(5000))"
    assert "No space left" in sandbox.run(too_much, disk_bytes=8192, level="namespaces").stderr


def test_the_same_program_gives_the_same_answer_twice(level):
    code = "print({str(n) for n in range(50)}, hash('x'))"
    assert len({sandbox.run(code, level=level).stdout for _ in range(3)}) == 1


def test_output_is_cut_and_time_is_kept(level):
    flood = sandbox.run("import sys\nwhile True: sys.stdout.write('x' * 999)", output_bytes=5000, level=level)
    assert (flood.status, flood.stdout) == ("output", "x" * 5000)
    exact = sandbox.run("print('x' * 4999)", output_bytes=5000, level=level)
    assert (exact.status, len(exact.stdout)) == ("ok", 5000)
    late = sandbox.run("print(1, flush=True)\nwhile True: pass", timeout_sec=0.4, level=level)
    assert (late.status, late.stdout) == ("timeout", "1\n") and 0.4 <= late.wall_sec < 2


def test_any_thread_may_call():
    """Eight at once; upstream's execution sets signal handlers and dies off the main thread."""
    if not IS_LINUX:
        pytest.skip("the sandbox is Linux's")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda n: sandbox.run(f"print({n} * {n})").stdout, range(8))
    assert list(results) == [f"{n * n}\n" for n in range(8)]


def mbpp_failures(shared_data, level: str, every: int) -> list:
    path = shared_data / "tasks" / "mbpp" / "mbpp_test.jsonl"
    if not path.exists():
        pytest.skip("no MBPP beside the checkout")
    rows = [json.loads(line) for line in path.read_text().splitlines()][::every]
    results = []
    for row in rows:
        code = "\n".join([row["code"], row["test_setup_code"], *row["test_list"], *row["challenge_test_list"]])
        results.append((row["task_id"], sandbox.run(code, level=level, timeout_sec=30)))
    assert len(results) == 500 // every
    return [(number, result) for number, result in results if result.status != "ok"]


def test_a_sample_of_mbpps_solutions_passes(shared_data, level):
    assert mbpp_failures(shared_data, level, every=25) == []


@pytest.mark.slow
def test_all_of_mbpps_solutions_pass(shared_data, level):
    assert mbpp_failures(shared_data, level, every=1) == []


# -----------------------------------------------------------------------------
# What stays behind

def processes() -> list[tuple[int, int, int]]:
    """(number, parent, session) of all that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may have ended since
            state, parent, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                found.append((int(stat.parent.name), int(parent), int(session)))
    return found


def children_of(number: int) -> list[int]:
    return [process for process, parent, _ in processes() if parent == number]


def session_of(number: int) -> list[int]:
    return [process for process, _, session in processes() if session == number]


def traces() -> tuple:
    """Descriptors, children, mounts, threads and sandbox folders of this process and machine."""
    return (sorted(os.listdir("/proc/self/fd")), children_of(os.getpid()), Path("/proc/mounts").read_text(),
            threading.active_count(), sorted(Path(tempfile.gettempdir()).glob("nanochat-sandbox-*")))


ENDINGS = [("ok", "print(1)"), ("error", "1 / 0"), ("killed", "import os; os.kill(os.getpid(), 9)"),
           ("output", "while True: print('x' * 9999)")]


def check_leaves_nothing(level: str, num_runs: int):
    sandbox.run("print(1)", level=level)
    before = traces()
    for n in range(num_runs):
        status, code = ENDINGS[n % 4] if n % 50 != 7 else ("timeout", "import time; time.sleep(99)")
        result = sandbox.run(code, level=level, timeout_sec=0.3 if status == "timeout" else 10, output_bytes=2000)
        assert result.status == status, result
    assert traces() == before


def test_nothing_stays_behind(level):
    check_leaves_nothing(level, 20)


@pytest.mark.slow
def test_nothing_stays_behind_after_a_thousand_runs(level):
    check_leaves_nothing(level, 1000)


def test_it_ends_when_its_parent_is_killed(level):
    """`kill -9` of a server must not leave a loop running."""
    code = ("from sandbox_corpus import import_sandbox\n"
            f"import_sandbox().run('import time; time.sleep(99)', timeout_sec=99, level={level!r})")
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"})
    children = wait_for(lambda: children_of(parent.pid), 60)
    sandboxed = wait_for(lambda: len(found := session_of(children[0])) >= 2 and found, 20)
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    assert sandboxed and wait_for(lambda: not session_of(children[0]), 10)


def wait_for(condition, seconds: float):
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


# -----------------------------------------------------------------------------
# Refusals

@pytest.mark.parametrize("settings, words", [
    ({"timeout_sec": 0}, "timeout_sec 0"), ({"timeout_sec": float("nan")}, "timeout_sec nan"), ({"timeout_sec": 1e9}, "a day"),
    ({"memory_bytes": 1 << 20}, "memory_bytes 1048576"), ({"disk_bytes": 0}, "disk_bytes 0"),
    ({"output_bytes": -1}, "output_bytes -1"),
    ({"level": "none"}, "choose one of namespaces, bubblewrap, landlock")])
def test_settings_out_of_range_are_refused_in_words(settings, words):
    with pytest.raises(UserError, match=words):
        sandbox.run("print(1)", **settings)


@pytest.mark.parametrize("platform, help", [("darwin", "Linux virtual machine or container"), ("win32", "WSL 2")])
def test_other_systems_refuse_and_say_what_would_help(monkeypatch, platform, help):
    monkeypatch.setattr(sys, "platform", platform)
    for level in (None, "landlock"):
        with pytest.raises(UserError, match=help) as error:
            sandbox.run("print(1)", level=level)
        assert "\n" not in str(error.value)


@linux
def test_a_machine_that_holds_nothing_back_refuses(monkeypatch):
    def fails(level, *args):
        raise sandbox.SandboxError(f"no {level}")
    sandbox.best_level.cache_clear()
    monkeypatch.setattr(sandbox, "run_at", fails)
    with pytest.raises(UserError, match="landlock: no landlock.*would help"):
        sandbox.run("print(1)")


@linux
def test_a_trial_that_gets_out_is_not_a_level(monkeypatch):
    escaped = sandbox.Result("error", "", "", 3, 0.0, "landlock+seccomp")
    monkeypatch.setattr(sandbox, "run_at", lambda *args: escaped)
    assert "got out" in sandbox.why_not("landlock")


@linux
def test_a_level_asked_for_is_never_replaced(monkeypatch, tmp_path):
    """The code must not run with less: not when bwrap is absent, nor when a barrier fails inside."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="bwrap is not installed"):
        sandbox.run("print(1)", level="bubblewrap")
    monkeypatch.setattr(sandbox, "readable_paths", lambda: [("/no/such/path", "/no/such/path")])
    with pytest.raises(UserError, match="/no/such/path"):
        sandbox.run("print(1)", level="landlock")


@linux
def test_old_landlock_is_too_little_alone(monkeypatch):
    """Before ABI 3 truncate(2) was free. The constant is raised instead of the kernel lowered."""
    source = (ROOT / "nanochat" / "sandbox_child.py").read_text().replace("LL_LEAST_ALONE = 3", "LL_LEAST_ALONE = 99")
    modules = [*sandbox.child_modules()[:-1], ("nanochat.sandbox_child", compile(source, "child", "exec"))]
    monkeypatch.setattr(sandbox, "child_modules", lambda: modules)
    with pytest.raises(UserError, match="99 is the least"):
        sandbox.run("print(1)", level="landlock")
