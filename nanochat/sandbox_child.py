"""The far side of `sandbox.py`: the program that becomes the sandbox, locks itself in and runs the code.

`sandbox.run` starts a bare Python that executes this file; torch stays out of it, and so does all of the project but
`seccomp.py`. One process becomes two or three, all in one session:

    supervisor   builds the namespaces, waits for the end of the code or of its parent, kills what is left
    init         (level "namespaces") number 1 of the new pid namespace; when it goes, the kernel ends everything inside
    code         gives up, in this order: descriptors, resources, files (Landlock), user, capabilities, system calls

There is no second exec. Every barrier is the kernel's and cannot be taken back by the process that it holds, so it does no
harm that the code shares an interpreter with what confined it, and execve itself can be refused.

Sources: man pages landlock(7), user_namespaces(7), pivot_root(2), mount_setattr(2), capabilities(7).
"""

import _sitebuiltins
import builtins
import ctypes
import os
import resource
import select
import struct
import sys

from nanochat.seccomp import ARCHS, NEW_IPC, NEW_NET, NEW_NS, NEW_PID, NEW_USER, NEW_UTS, filter_program, packed

DEVICES = "/dev/"
MAX_OPEN = 64          # descriptors
MAX_INODES = 1000      # files and folders in the box

SIGKILL = 9            # importing signal would cost 4 ms of every start, for enum
# x86_64, aarch64
NUMBERS = {"capset": (126, 91), "pivot_root": (155, 41), "mount_setattr": (442, 442), "landlock_create_ruleset": (444, 444),
           "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446)}
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 8, 1 << 12, 1 << 14, 1 << 18, 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_FDCWD, AT_RECURSIVE = 1, 2, 4, -100, 0x8000
CAPABILITY_VERSION_3 = 0x20080522

# Landlock's rights to files, by bit; what a kernel knows grows with its ABI.
LL_WRITE_FILE, LL_READ_FILE, LL_READ_DIR, LL_TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
LL_BOX = (LL_WRITE_FILE | LL_READ_FILE | LL_READ_DIR | LL_TRUNCATE | 1 << 4 | 1 << 5  # remove folder, remove file
          | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 13)  # make folder, file, fifo, symlink; move between folders
LL_ALL_BY_ABI = {1: 1 << 13, 2: 1 << 14, 3: 1 << 15, 5: 1 << 16}
LL_LEAST_ALONE = 3  # before it (Linux 6.2) truncate(2) was free: not enough where Landlock is all that guards the files
LL_TCP, LL_SCOPES = 3, 3  # ABI 4: bind and connect; ABI 6: abstract sockets and signals of other domains


# -----------------------------------------------------------------------------
# The kernel, through ctypes

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def wide(args) -> list:
    """Variadic C functions take what we hand them for an int unless told: every number travels as a long."""
    return [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]


def syscall(name: str, *args) -> int:
    number = NUMBERS[name][ARCHS[os.uname().machine][1]]
    return checked(LIBC.syscall(*wide([number, *args])), name)


def prctl(option: int, *args):
    checked(LIBC.prctl(option, *wide((*args, 0, 0, 0, 0)[:4])), f"prctl {option}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None):
    texts = [text and text.encode() for text in (source, target, kind, options)]
    checked(LIBC.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


# -----------------------------------------------------------------------------
# Namespaces, and a file system that holds Python's library, four devices and the box

def enter_namespaces():
    """Root makes them as it is; anybody else enters a user namespace first, as the only user in it."""
    flags, uid, gid = NEW_NS | NEW_PID | NEW_NET | NEW_IPC | NEW_UTS, os.getuid(), os.getgid()
    if uid == 0:
        checked(LIBC.unshare(flags), "unshare")
        return
    checked(LIBC.unshare(flags | NEW_USER), "unshare as a user")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as f:
            f.write(text)


def build_root(readable: list[tuple[str, str]], box: str, disk_bytes: int):
    """A small read-only root in memory with `readable` (path, real path) bound into it. The box is the one place to
    write to: its own file system, so its size and number of files have a limit, and it is gone with the last process."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("sandbox", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")
    os.chdir("/tmp")
    os.mkdir("old")
    syscall("pivot_root", b".", b"old")
    os.chdir("/")
    for path, real in readable:
        bind("/old" + real, path)
    os.mkdir(box)
    mount("box", box, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"size={disk_bytes},nr_inodes={MAX_INODES},mode=777")
    checked(LIBC.umount2(b"/old", MNT_DETACH), "umount /old")
    os.rmdir("/old")
    set_mount("/", ATTR_RDONLY, 0)


def bind(source: str, target: str):
    if os.path.isdir(source):
        os.makedirs(target)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    mount(source, target, None, MS_BIND | MS_REC)
    set_mount(target, ATTR_RDONLY | ATTR_NOSUID | (0 if target.startswith(DEVICES) else ATTR_NODEV), AT_RECURSIVE)


def set_mount(path: str, attributes: int, flags: int):
    """mount_setattr: unlike a remount it adds to what a mount forbids, which a user namespace always may."""
    settings = struct.pack("=4Q", attributes, 0, 0, 0)
    syscall("mount_setattr", AT_FDCWD, path.encode(), flags, settings, len(settings))


# -----------------------------------------------------------------------------
# The barriers of the process that runs the code

def keep_descriptors(stdin_fd: int, report_fd: int) -> int:
    """0 to 2 and the report, which becomes 3 whatever its number was with our parent, who may have thousands open."""
    os.dup2(stdin_fd, 0)
    os.dup2(report_fd, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    return 3


def limit_resources(limits: dict[str, int]):
    """`limits` by the names of getrlimit(2); never above what this process was started with."""
    for name, value in limits.items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (value, value))


def landlock_abi() -> int:
    """0 where the kernel has no Landlock or has it turned off."""
    try:
        return syscall("landlock_create_ruleset", 0, 0, 1)
    except OSError:
        return 0


def restrict_files(abi: int, readable: list[tuple[str, str]], folder: str, can_write: bool):
    """Landlock: from here on, only `readable` and the folder we are in can be read, and nothing else written to."""
    known = max(bits for since, bits in LL_ALL_BY_ABI.items() if since <= abi) - 1
    attributes = struct.pack("=3Q", known, LL_TCP if abi >= 4 else 0, LL_SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = syscall("landlock_create_ruleset", attributes, size, 0)
    for path, _ in readable:
        allow_below(ruleset, path, LL_READ_FILE | (LL_WRITE_FILE if path == "/dev/null" else LL_READ_DIR))
    allow_below(ruleset, folder, LL_BOX & known if can_write else LL_READ_FILE | LL_READ_DIR)
    syscall("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def allow_below(ruleset: int, path: str, rights: int):
    fd = os.open(path, os.O_PATH)
    if not os.path.isdir(path):
        rights &= ~LL_READ_DIR  # the kernel refuses a folder's right on a file
    syscall("landlock_add_rule", ruleset, 1, struct.pack("=Qi", rights, fd), 0)
    os.close(fd)


def become_nobody(uid: int) -> bool:
    """Root becomes a user that nobody else is, if that user can read Python's library and the container has it."""
    if os.getuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setegid(uid)
        os.seteuid(uid)
        open(os.__file__).close()
        os.seteuid(0)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    except OSError:
        os.seteuid(0)
        return False
    return True


def drop_capabilities():
    syscall("capset", struct.pack("=Ii", CAPABILITY_VERSION_3, 0), struct.pack("=6I", *[0] * 6))


def filter_calls(program: list):
    code = ctypes.create_string_buffer(packed(program))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def confine(settings: dict) -> str:
    """Raise every barrier, the system calls last since raising the others needs some. Returns the level reached."""
    level, readable = settings["level"], settings["readable"]
    has_box = level == "namespaces"
    os.chdir(settings["folder"])
    limit_resources(settings["rlimits"] | {"RLIMIT_NOFILE": MAX_OPEN})
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    abi = landlock_abi()
    if level == "landlock" and abi < LL_LEAST_ALONE:
        raise OSError(f"Landlock ABI {abi}, but {LL_LEAST_ALONE} is the least (Linux 6.2)")
    if abi:
        restrict_files(abi, readable, settings["folder"], has_box)
    is_nobody = become_nobody(settings["uid"])
    drop_capabilities()
    prctl(PR_SET_PDEATHSIG, SIGKILL)  # after the change of user, which clears it
    prctl(PR_SET_DUMPABLE, 0)  # a crash reaches no core handler of the machine; RLIMIT_CORE 0 does not stop a piped one
    # Threads are counted by RLIMIT_NPROC: per user, or per user namespace. Where neither is the run's own, there are none.
    has_threads = is_nobody or (level != "landlock" and os.getuid() != 0)
    filter_calls(filter_program(os.uname().machine, os.getpid(), can_write=has_box, has_threads=has_threads))
    return f"{level}+landlock+seccomp" if abi and level != "landlock" else f"{level}+seccomp"


# -----------------------------------------------------------------------------
# The lives of the three processes

def main(settings: dict):
    """The supervisor and init end inside; the code returns from here and ends as any program does, with its own atexit,
    threads and exit code."""
    report, has_init = settings["report_fd"], settings["level"] == "namespaces"
    try:
        os.environ.clear()
        volunteer_for_oom()
        if has_init:
            enter_namespaces()
            build_root(settings["readable"], settings["folder"], settings["disk_bytes"])
        child = os.fork()
        if child == 0 and has_init:
            run_init(report)
        if child == 0:
            report = keep_descriptors(settings["stdin_fd"], report)
            os.write(report, f"ready {confine(settings)}\n".encode())
            os.close(report)
    except BaseException as error:
        os.write(report, f"failed {error}\n".encode())
        os._exit(1)
    if child:
        supervise(child, None if has_init else report)
    run_program(settings["code"])


def volunteer_for_oom():
    """When the machine runs out of memory, the kernel should take this, not the training beside it."""
    try:
        with open("/proc/self/oom_score_adj", "w") as f:
            f.write("1000")
    except OSError:
        pass  # no /proc, in bubblewrap


def run_init(report: int):
    """Returns in the child alone. Without an init between, the code would be number 1, which its own signals do not end."""
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    child = os.fork()
    if child:
        report_end(child, report)
        os._exit(0)


def report_end(child: int, report: int):
    os.write(report, f"end {os.waitpid(child, 0)[1]}\n".encode())


def supervise(child: int, report: int | None):
    """Wait until the code ends or our parent lets go of the other end of our stdin, as it does when it dies, too."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(os.pidfd_open(child), select.POLLIN)
    poll.poll()
    os.kill(child, SIGKILL)  # no harm when it has ended: it is ours to reap, so its number is not reused
    if report is None:
        os.waitpid(child, 0)
    else:
        report_end(child, report)
    os._exit(0)


def run_program(code: str):
    """As `python main.py` would, without site-packages: `__main__` of its own, its own frames alone in a traceback."""
    ours = sys.modules["__main__"]  # kept: its functions are still running
    for name in [name for name in sys.modules if name.partition(".")[0] == "nanochat"]:
        del sys.modules[name]
    sys.modules["__main__"] = module = type(ours)("__main__")
    module.__builtins__ = builtins
    sys.argv[:] = ["main.py"]
    builtins.exit = builtins.quit = _sitebuiltins.Quitter("exit", "the end of input")  # site is off, and programs do call it
    try:
        exec(compile(code, "main.py", "exec", dont_inherit=True), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        sys.excepthook(type(error), error.with_traceback(error.__traceback__.tb_next), None)
        sys.exit(1)
