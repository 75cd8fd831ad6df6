"""What code in the sandbox may try: one program each, and a driver that runs them all as whoever it is started as.

    PYTHONPATH=. python tests/sandbox_corpus.py root|user best|all    # JSON lines: attacks, what became of us, controls

A program calls `escaped()` when it got what it wanted. Each is also run outside of the sandbox (the control), where it must
get it: an attempt that succeeds nowhere proves nothing. Bombs are small enough to go off outside, too.
"""

import concurrent.futures
import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PRELUDE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def syscall(*numbers):
    result = libc.syscall(*[ctypes.c_long(n) if isinstance(n, int) else n for n in numbers])
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
def escaped():
    print("ESCAPED", flush=True)
print("tried", flush=True)
"""


class Attempt(NamedTuple):
    code: str
    status: str = "ok error killed"  # what may become of it
    control: str = "anyone"          # who gets through outside: anyone | root | kernel (some kernels) | none


def program(attempt: Attempt, words: str) -> str:
    """With the modules that it names and no others: socket alone is 8 ms of each run."""
    used = [name for name in ("resource", "signal", "socket", "struct", "sys", "threading", "time") if name in attempt.code]
    return words + "".join(f"import {name}\n" for name in used) + PRELUDE + attempt.code


X86 = os.uname().machine == "x86_64"
NUMBERS = {"vfork": 58, "ptrace": 101, "process_vm_readv": 310, "tgkill": 234, "rt_sigqueueinfo": 129, "capset": 126,
           "shmget": 29, "shmctl": 31, "add_key": 248, "userfaultfd": 323, "execveat": 322, "perf_event_open": 298,
           "socket": 41, "bpf": 321} if X86 else {
           "vfork": 220, "ptrace": 117, "process_vm_readv": 270, "tgkill": 131, "rt_sigqueueinfo": 138, "capset": 91,
           "shmget": 194, "shmctl": 195, "add_key": 217, "userfaultfd": 282, "execveat": 281, "perf_event_open": 241,
           "socket": 198, "bpf": 280}
OUTSIDE = '[p for p in ("/usr/bin/true", "/bin/true") if os.path.exists(p)] or ["/usr/bin/true"]'

NETWORK = {
    "tcp over IPv4": Attempt("socket.create_connection(('127.0.0.1', PORT), 1); escaped()"),
    "tcp over IPv6": Attempt("s = socket.socket(socket.AF_INET6); s.bind(('::1', 0)); escaped()", control="kernel"),
    "udp": Attempt("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT)); escaped()"),
    "a server": Attempt("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); escaped()"),
    "unix socket by path": Attempt("s = socket.socket(socket.AF_UNIX); s.connect(HOME + '/socket'); escaped()"),
    "abstract unix socket": Attempt("s = socket.socket(socket.AF_UNIX); s.connect(ABSTRACT); escaped()"),
    "unix datagram from a pair": Attempt("a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                                         "a.sendto(b'x', ABSTRACT + '-datagrams'); escaped()"),
    "netlink": Attempt("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).bind((0, 0)); escaped()"),
    "packets": Attempt("socket.socket(socket.AF_PACKET, socket.SOCK_RAW); escaped()", control="root"),
    "raw socket by number": Attempt("syscall(NUMBERS['socket'], 2, 1, 0); escaped()"),
    "io_uring": Attempt("buffer = ctypes.create_string_buffer(256); syscall(425, 4, buffer); escaped()", control="kernel"),
    "name look-up": Attempt("socket.getaddrinfo('localhost', 80); s = socket.socket(); s.settimeout(1)\n"
                            "s.connect(('localhost', PORT)); escaped()"),
}
FILES = {
    "read the home directory": Attempt("open(HOME + '/secret').read(); escaped()"),
    "list the home directory": Attempt("os.listdir(HOME); escaped()"),
    "read /etc/passwd": Attempt("open('/etc/passwd').read(); escaped()"),
    "list the root's folders": Attempt("os.listdir('/etc'); escaped()"),
    "walk up from here": Attempt("open('../' * 12 + HOME[1:] + '/secret').read(); escaped()"),
    "open a folder, then beneath": Attempt("d = os.open(HOME, os.O_PATH); os.open('secret', os.O_RDONLY, dir_fd=d); escaped()"),
    "environment of the parent": Attempt("open(f'/proc/{PARENT}/environ').read(); escaped()"),
    "descriptors of the parent": Attempt("os.listdir(f'/proc/{PARENT}/fd'); escaped()"),
    "memory of the parent": Attempt("open(f'/proc/{PARENT}/mem', 'rb'); escaped()", control="kernel"),
    "list of processes": Attempt("[p for p in os.listdir('/proc') if p.isdigit()][1]; escaped()"),
    "own descriptors through /proc": Attempt("os.readlink('/proc/self/fd/0') and os.listdir('/proc/self/fd'); escaped()"),
    "symbolic link": Attempt("os.symlink(HOME + '/secret', 'link'); open('link').read(); escaped()"),
    "hard link": Attempt("os.link(HOME + '/secret', 'link'); escaped()"),
    "write a file": Attempt("open(HOME + '/new', 'w').write('x'); escaped()"),
    "append": Attempt("open(HOME + '/secret', 'a').write('x'); escaped()"),
    "delete": Attempt("os.unlink(HOME + '/secret'); escaped()"),
    "truncate": Attempt("os.truncate(HOME + '/secret', 0); escaped()"),
    "truncate while opening": Attempt("os.open(HOME + '/secret', os.O_RDONLY | os.O_TRUNC); escaped()"),
    "change the mode": Attempt("os.chmod(HOME + '/secret', 0o777); escaped()"),
    "change the times": Attempt("os.utime(HOME + '/secret', (1, 1)); escaped()"),
    "rename": Attempt("os.rename(HOME + '/secret', HOME + '/other'); escaped()"),
    "extended attribute": Attempt("os.setxattr(HOME + '/secret', 'user.x', b'x'); escaped()", control="kernel"),
    "make a folder": Attempt("os.mkdir(HOME + '/folder'); escaped()"),
    "write to Python's library": Attempt("os.open(os.__file__, os.O_WRONLY); escaped()", control="root"),
    "shared memory on disk": Attempt("p = f'/dev/shm/{os.getpid()}'; open(p, 'w'); os.unlink(p); escaped()"),
    "a device node": Attempt("os.mknod('null', 0o20666, os.makedev(1, 3)); escaped()", control="root"),
    "chroot": Attempt("os.chroot('.'); escaped()", control="root"),
    "mount in a new user namespace": Attempt("libc.unshare(0x10020000) == 0 and escaped()", control="kernel"),
    "watch for changes": Attempt("libc.inotify_init1(0) >= 0 and escaped()"),
}
PROCESSES = {
    "fork": Attempt("os.fork() or os._exit(0); escaped()"),
    "fork bomb": Attempt("for _ in range(50):\n    os.fork() or (time.sleep(0.1), os._exit(0))\nescaped()"),
    "vfork": Attempt("syscall(NUMBERS['vfork'], 0x4111, 0, 0, 0, 0); escaped()", control="none"),  # returns twice on one stack
    "clone3": Attempt("pid = syscall(435, struct.pack('=8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64)\n"
                      "if pid == 0:\n    os._exit(0)\nescaped()"),
    "a subprocess": Attempt(f"import subprocess; subprocess.run(({OUTSIDE})[0], check=True); escaped()"),
    "a shell": Attempt("os.system('true') == 0 and escaped()"),
    "posix_spawn": Attempt(f"os.posix_spawn(({OUTSIDE})[0], ['true'], {{}}); escaped()"),
    "exec": Attempt("os.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED'])"),
    "exec of a file in memory": Attempt("fd = os.memfd_create('x', 0); os.write(fd, b'#!/bin/sh\\necho ESCAPED\\n')\n"
                                        "os.execve(fd, ['x'], {})"),
    "a setuid program": Attempt("os.execv('/bin/sh', ['sh', '-c', SETUID + ' --version && echo ESCAPED'])"),
    "thread bomb": Attempt("for n in range(200):\n    threading.Thread(target=time.sleep, args=(0.3,)).start()\nescaped()"),
    "grandchild that outlives": Attempt("if os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n"
                                        "    time.sleep(0.1); open(HOME + '/outlived', 'w'); os._exit(0)\n"
                                        "time.sleep(0.3); os.stat(HOME + '/outlived'); escaped()"),
    "leave the session": Attempt("os.setsid(); escaped()"),
    "leave the process group": Attempt("os.setpgid(0, 0); escaped()"),
}
SIGNALS = {
    "signal the parent": Attempt("os.kill(PARENT, signal.SIGUSR1); escaped()"),
    "signal the supervisor": Attempt("os.kill(os.getppid() or 1, 0); escaped()"),
    "signal everyone": Attempt("os.kill(-1, 0); escaped()"),
    "signal the group": Attempt("os.kill(0, 0); escaped()"),
    "signal a thread of the parent": Attempt("syscall(NUMBERS['tgkill'], PARENT, PARENT, signal.SIGUSR1); escaped()"),
    "queue a signal": Attempt("info = struct.pack('=3i', signal.SIGUSR1, 0, -1) + bytes(116)\n"
                              "syscall(NUMBERS['rt_sigqueueinfo'], PARENT, signal.SIGUSR1, info); escaped()"),
    "signal through a pidfd": Attempt("signal.pidfd_send_signal(os.pidfd_open(PARENT), signal.SIGUSR1); escaped()"),
    "signal by owning a pipe": Attempt("import fcntl; r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, PARENT)\n"
                                       "fcntl.fcntl(r, 10, int(signal.SIGUSR1)); fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\n"
                                       "os.write(w, b'x'); escaped()"),
    "limits of the parent": Attempt("soft, hard = resource.prlimit(PARENT, resource.RLIMIT_SIGPENDING)\n"
                                    "resource.prlimit(PARENT, resource.RLIMIT_SIGPENDING, (soft - 1, hard)); escaped()"),
    "priority of the parent": Attempt("os.setpriority(os.PRIO_PROCESS, PARENT, 1); escaped()"),
    "processors of the parent": Attempt("os.sched_setaffinity(PARENT, os.sched_getaffinity(0)); escaped()"),
    "trace the parent": Attempt("syscall(NUMBERS['ptrace'], 0x4206, PARENT, 0, 0); escaped()", control="kernel"),
    "trace itself": Attempt("syscall(NUMBERS['ptrace'], 0, 0, 0, 0); escaped()", control="kernel"),
    "read the parent's memory": Attempt("word = ctypes.create_string_buffer(8)\n"
                                        "mine = struct.pack('=2Q', ctypes.addressof(word), 8)\n"
                                        "theirs = struct.pack('=2Q', ADDRESS, 8)\n"
                                        "syscall(NUMBERS['process_vm_readv'], PARENT, mine, 1, theirs, 1, 0); escaped()",
                                        control="kernel"),
}
LEAKS = {
    "a leaked descriptor": Attempt("os.read(LEAK, 1); escaped()"),
    "any descriptor above 2": Attempt("for fd in range(3, 1000):\n    try:\n        os.fstat(fd); escaped()\n"
                                      "    except OSError:\n        pass"),
    "environment": Attempt("os.environ and escaped()"),
    "forged report": Attempt("for fd in range(3, 64):\n    try:\n"
                             "        os.write(fd, b'end 0\\nready everything\\n') and escaped()\n"
                             "    except OSError:\n        pass\nsys.exit(7)", status="error", control="none"),
    "become root": Attempt("os.setresuid(0, 0, 0); os.setgroups([0]); escaped()", control="root"),
    "take capabilities": Attempt("syscall(NUMBERS['capset'], struct.pack('=Ii', 0x20080522, 0),\n"
                                 "        struct.pack('=6I', 1, 1, 0, 0, 0, 0)); escaped()", control="root"),
    "raise a limit": Attempt("resource.setrlimit(resource.RLIMIT_CORE, (1, 1)); escaped()", control="kernel"),
    "another filter": Attempt("libc.prctl(22, 1, 0, 0, 0) == 0 and print('ESCAPED', flush=True)", control="none"),
    "system calls of a 32-bit machine": Attempt(  # mov eax, 20 (getpid); int 0x80; ret
        "import mmap; page = mmap.mmap(-1, 4096, prot=7); page.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))() > 0 and escaped()",
        status="killed", control="kernel"),
    "system calls of x32": Attempt("syscall(0x40000000 + 39)", status="killed", control="none"),
    "kernel keyring": Attempt("syscall(NUMBERS['add_key'], b'user', b'x', b'x', 1, -3); escaped()", control="kernel"),
    "userfaultfd": Attempt("syscall(NUMBERS['userfaultfd'], 1); escaped()", control="kernel"),
    "bpf": Attempt("syscall(NUMBERS['bpf'], 0, struct.pack('=4I', 2, 4, 4, 1), 16); escaped()", control="kernel"),
}
EXCESS = {
    "memory": Attempt("x = bytearray(600 << 20); escaped()"),
    "memory in small pieces": Attempt("x = [bytes(1 << 20) for _ in range(400)]; escaped()"),
    "shared memory": Attempt("import mmap; x = mmap.mmap(-1, 600 << 20); escaped()"),
    "memory of a file in memory": Attempt("fd = os.memfd_create('x')\nfor _ in range(64):\n"
                                          "    os.write(fd, bytes(1 << 20))\nescaped()"),
    "System V memory": Attempt("n = syscall(NUMBERS['shmget'], 0, 1 << 20, 0o1600)\n"
                               "syscall(NUMBERS['shmctl'], n, 0, 0); escaped()"),
    "one big file": Attempt("with open('x', 'wb') as f:\n    for _ in range(64):\n        f.write(bytes(1 << 20))\nescaped()"),
    "many files": Attempt("for n in range(64):\n    with open(f'{n}', 'wb') as f:\n        f.write(bytes(1 << 20))\nescaped()"),
    "many empty files": Attempt("for n in range(3000):\n    open(f'{n}', 'wb').close()\nescaped()"),
    "deleted files held open": Attempt("held = []\nfor n in range(40):\n    held.append(open('x', 'wb')); os.unlink('x')\n"
                                       "    held[-1].write(bytes(1 << 20)); held[-1].flush()\nescaped()"),
    "many descriptors": Attempt("held = [os.dup(0) for _ in range(500)]; escaped()"),
    "flood of output": Attempt("while True:\n    print('x' * 1000)", status="output", control="none"),
    "flood of errors": Attempt("while True:\n    print('x' * 1000, file=sys.stderr)", status="output", control="none"),
    "endless loop": Attempt("while True: pass", status="timeout", control="none"),
    "endless sleep": Attempt("time.sleep(1000)", status="timeout", control="none"),
    "signals ignored": Attempt("for n in range(1, 65):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
                               "    except (OSError, ValueError):\n        pass\n"
                               "while True: pass", status="timeout", control="none"),
    "time bomb in atexit": Attempt("import atexit; atexit.register(time.sleep, 1000)", status="timeout", control="none"),
    "escape in atexit": Attempt("import atexit; atexit.register(lambda: (open(HOME + '/secret'), escaped()))"),
    "thread that never ends": Attempt("threading.Thread(target=time.sleep, args=(1000,)).start(); time.sleep(1000)",
                                      status="timeout error", control="none"),
    "crash": Attempt("ctypes.string_at(0)", status="killed", control="none"),
    "endless recursion": Attempt("sys.setrecursionlimit(10 ** 9)\ndef f(): f()\nf()", status="killed error timeout",
                                 control="none"),
}
ATTEMPTS = NETWORK | FILES | PROCESSES | SIGNALS | LEAKS | EXCESS
if not X86:
    del ATTEMPTS["system calls of a 32-bit machine"], ATTEMPTS["system calls of x32"]


SIGNALS_SEEN = []


class Scene:
    """What there is to escape to: a home directory with a secret, servers, a leaked descriptor, a parent with a handler."""

    def __init__(self, stack: contextlib.ExitStack):
        self.home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="home-")))
        self.secret = self.home / "secret"
        self.secret.write_text("the secret")
        self.leak, self.leak_write = os.pipe()
        stack.callback(os.close, self.leak)
        stack.callback(os.close, self.leak_write)
        os.set_inheritable(self.leak, True)
        os.write(self.leak_write, b"leaked" * 100)
        self.abstract = f"\0{self.home.name}"
        self.tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listeners = [stack.enter_context(self.unix(name, kind)) for name, kind in (
            (str(self.home / "socket"), socket.SOCK_STREAM), (self.abstract, socket.SOCK_STREAM),
            (f"{self.abstract}-datagrams", socket.SOCK_DGRAM))]
        self.before = self.facts()

    def unix(self, name: str, kind: int) -> socket.socket:
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(name)
        if kind == socket.SOCK_STREAM:
            server.listen(100)
        return server

    def facts(self):
        """What no attempt may change."""
        info = self.secret.stat() if self.secret.exists() else None
        return (info and (self.secret.read_text(), stat.S_IMODE(info.st_mode), info.st_mtime_ns, info.st_nlink),
                sorted(path.name for path in self.home.iterdir()), len(SIGNALS_SEEN), os.getpriority(os.PRIO_PROCESS, 0),
                resource.getrlimit(resource.RLIMIT_SIGPENDING))

    def words(self, numbers: dict[str, int]) -> str:
        """All of it as constants of a program."""
        self.memory = ctypes.create_string_buffer(b"our memory")
        values = {"HOME": str(self.home), "PORT": self.tcp.getsockname()[1], "ABSTRACT": self.abstract, "PARENT": os.getpid(),
                  "LEAK": self.leak, "ADDRESS": ctypes.addressof(self.memory), "NUMBERS": numbers,
                  "SETUID": next(filter(os.path.exists, ("/usr/bin/su", "/bin/su")), "/usr/bin/su")}
        return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def control(attempt: Attempt, folder: str, words: str) -> str:
    """What the attempt prints when nothing holds it back."""
    done = subprocess.run([sys.executable, "-S", "-c", program(attempt, words)], text=True, capture_output=True,
                          cwd=folder, close_fds=False, timeout=60)
    return done.stdout + done.stderr


def import_sandbox():
    """Without `nanochat.common`, of which it takes one name: torch would be two seconds of every process here."""
    common = type(sys)("nanochat.common")
    common.UserError = ValueError
    sys.modules["nanochat.common"] = common
    from nanochat import sandbox
    return sandbox


def main(who: str, which: str):
    """Attack at all levels there are or the best one, then run the controls that this user is good for: an ordinary user's
    say more, since what gets through as one gets through as root."""
    sandbox = import_sandbox()
    signal.signal(signal.SIGUSR1, lambda *_: SIGNALS_SEEN.append(1))
    levels = [level for level in sandbox.LEVELS if sandbox.why_not(level) is None][:1 if which == "best" else None]
    controls = {name: attempt for name, attempt in ATTEMPTS.items()
                if attempt.control == "root" and os.getuid() == 0 or attempt.control in ("anyone", "kernel") and who == "user"}

    def attack(job):
        level, name = job
        result = sandbox.run(program(ATTEMPTS[name], words), timeout_sec=0.7, output_bytes=10_000, level=level)
        return {"level": level, "name": name, "result": result._asdict()}

    def outside(name):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            return {"name": name, "control": control(controls[name], folder, Scene(stack).words(NUMBERS))}

    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(4) as pool:
        scene = Scene(stack)
        words = scene.words(NUMBERS)
        for line in pool.map(attack, [(level, name) for level in levels for name in ATTEMPTS]):
            print(json.dumps(line), flush=True)
        print(json.dumps({"levels": levels, "before": scene.before, "after": scene.facts()}), flush=True)
        for line in pool.map(outside, controls):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
