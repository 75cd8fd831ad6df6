"""Which system calls code in the sandbox may make, as the classic BPF program that the kernel asks before each of them.

A list of what is allowed, so that what a later kernel adds is refused until somebody has looked at it. Assembled by hand:
under 400 instructions, no dependency, and plain numbers in and out, so a test can run the program on both machines' calls.

Sources: seccomp(2); Linux Documentation/userspace-api/seccomp_filter.rst; the numbers are those of the kernel's
asm/unistd_64.h and asm-generic/unistd.h (a test compares them).
"""

import struct

ARCHS = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # machine: (AUDIT_ARCH_*, column below)

# name x86_64 aarch64; "-": that machine has no such call. Reading, waiting, memory, clocks, its own signals.
READS = """read 0 63, write 1 64, open 2 -, close 3 57, stat 4 -, fstat 5 80, lstat 6 -, poll 7 -, lseek 8 62, mmap 9 222,
    mprotect 10 226, munmap 11 215, brk 12 214, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139,
    pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66, access 21 -, pipe 22 -, select 23 -, sched_yield 24 124,
    mremap 25 216, msync 26 227, madvise 28 233, dup 32 23, dup2 33 -, pause 34 -, nanosleep 35 101, getitimer 36 102,
    alarm 37 -, setitimer 38 103, getpid 39 172, sendfile 40 71, recvfrom 45 207, shutdown 48 210, getsockname 51 204,
    getpeername 52 205, getsockopt 55 209, exit 60 93, wait4 61 260, uname 63 160, flock 73 32, fsync 74 82,
    fdatasync 75 83, ftruncate 77 46, getdents 78 -, getcwd 79 17, chdir 80 49, fchdir 81 50, readlink 89 -, umask 95 166,
    gettimeofday 96 169, getrlimit 97 163, getrusage 98 165, sysinfo 99 179, times 100 153, getuid 102 174,
    getgid 104 176, geteuid 107 175, getegid 108 177, getppid 110 173, getpgrp 111 -, getgroups 115 158,
    getresuid 118 148, getresgid 120 150, getpgid 121 155, getsid 124 156, rt_sigpending 127 136,
    rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, getpriority 140 141, sched_getparam 143 121,
    sched_getscheduler 145 120, setrlimit 160 164, gettid 186 178, time 201 -, futex 202 98, sched_getaffinity 204 123,
    epoll_create 213 -, getdents64 217 61, set_tid_address 218 96, restart_syscall 219 128, fadvise64 221 223,
    timer_create 222 107, timer_settime 223 110, timer_gettime 224 108, timer_getoverrun 225 109, timer_delete 226 111,
    clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, exit_group 231 94, epoll_wait 232 -,
    epoll_ctl 233 21, waitid 247 95, openat 257 56, newfstatat 262 79, readlinkat 267 78, faccessat 269 48,
    pselect6 270 72, ppoll 271 73, set_robust_list 273 99, epoll_pwait 281 22, timerfd_create 283 85, eventfd 284 -,
    timerfd_settime 286 86, timerfd_gettime 287 87, signalfd4 289 74, eventfd2 290 19, epoll_create1 291 20, dup3 292 24,
    pipe2 293 59, preadv 295 69, pwritev 296 70, getcpu 309 168, getrandom 318 278, membarrier 324 283,
    copy_file_range 326 285, preadv2 327 286, pwritev2 328 287, statx 332 291, rseq 334 293, close_range 436 436,
    faccessat2 439 439, epoll_pwait2 441 441"""
# Changing a file by its name. Landlock does not rule over modes and times, so they go wherever it alone guards the files.
WRITES = """truncate 76 45, rename 82 -, mkdir 83 -, rmdir 84 -, creat 85 -, link 86 -, unlink 87 -, symlink 88 -, chmod 90 -,
    fchmod 91 52, utime 132 -, utimes 235 -, mkdirat 258 34, unlinkat 263 35, renameat 264 38, linkat 265 37,
    symlinkat 266 36, fchmodat 268 53, utimensat 280 88, fallocate 285 47, renameat2 316 276"""
# Allowed with some arguments only.
CHECKED = """ioctl 16 29, sendto 44 206, socketpair 53 199, clone 56 220, kill 62 129, fcntl 72 25, tgkill 234 131,
    prlimit64 302 261, clone3 435 435"""

EPERM, ENOTTY, ENOSYS = 1, 25, 38
ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
FIRST_NEW_CALL = 435  # from here on libraries ask whether a call exists, and take "no such call" for an answer
X32_BIT = 0x40000000  # the other way into an x86_64 kernel, with numbers of its own
CLONE_THREAD = 0x00010000
NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
NEW_ANY = NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET
# Terminal attributes and size (isatty), bytes waiting, non-blocking, close-on-exec.
IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# Duplicates, flags, locks, pipe size. F_SETOWN and F_SETSIG are absent: they send any signal to any process of the user.
FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
AF_UNIX, SOCK_STREAM = 1, 1


def call_numbers(table: str, column: int) -> dict[str, int]:
    rows = (row.split() for row in table.split(","))
    return {row[0]: int(row[1 + column]) for row in rows if row[1 + column] != "-"}


# Classic BPF: (opcode, jump if true, jump if false, k). Offsets into struct seccomp_data, low half of an argument first.

def load(offset: int):
    return (0x20, 0, 0, offset)


def load_arg(index: int, high: bool = False):
    return load(16 + 8 * index + 4 * high)


def keep_bits(mask: int):
    return (0x54, 0, 0, mask)


def if_equal(value: int, yes: int, no: int):
    return (0x15, yes, no, value)


def if_at_least(value: int, yes: int, no: int):
    return (0x35, yes, no, value)


def if_any_bit(mask: int, yes: int, no: int):
    return (0x45, yes, no, mask)


def answer(value: int):
    return (0x06, 0, 0, value)


def refuse(errno: int):
    return answer(0x00050000 | errno)


def allow_values(index: int, values, errno: int = EPERM) -> list:
    """The call may pass when the low half of argument `index` is one of `values` (these arguments are C ints)."""
    checks = [step for value in values for step in (if_equal(value, 0, 1), answer(ALLOW))]
    return [load_arg(index), *checks, refuse(errno)]


def allow_clone(has_threads: bool) -> list:
    """A thread of this process, never a process, never a new namespace."""
    if not has_threads:
        return [refuse(EPERM)]
    return [load_arg(0), if_any_bit(CLONE_THREAD, 0, 1), if_any_bit(NEW_ANY, 0, 1), refuse(EPERM), answer(ALLOW)]


def allow_socketpair() -> list:
    """asyncio wakes itself through a pair. A datagram socket could be aimed at another program's, a connected one not."""
    return [load_arg(0), if_equal(AF_UNIX, 0, 3), load_arg(1), keep_bits(0xF), if_equal(SOCK_STREAM, 1, 0),
            refuse(EPERM), answer(ALLOW)]


def allow_unaddressed(index: int) -> list:
    """The pointer in argument `index` must be null."""
    return [load_arg(index), if_equal(0, 0, 2), load_arg(index, high=True), if_equal(0, 1, 0),
            refuse(EPERM), answer(ALLOW)]


def filter_program(machine: str, own_pid: int, *, can_write: bool, has_threads: bool) -> list[tuple[int, int, int, int]]:
    """What the kernel asks before each system call; every path ends in an answer."""
    arch, column = ARCHS[machine]
    checked = {
        "ioctl": allow_values(1, IOCTLS, ENOTTY), "fcntl": allow_values(1, FCNTLS),
        "kill": allow_values(0, [own_pid]), "tgkill": allow_values(0, [own_pid]), "prlimit64": allow_values(0, [0, own_pid]),
        "clone": allow_clone(has_threads), "clone3": [refuse(ENOSYS)],  # clone3's flags lie in memory: not for a filter
        "socketpair": allow_socketpair(), "sendto": allow_unaddressed(4)}
    steps = [load(4), if_equal(arch, 1, 0), answer(KILL_PROCESS), load(0)]
    if machine == "x86_64":
        steps += [if_at_least(X32_BIT, 0, 1), answer(KILL_PROCESS)]
    allowed = call_numbers(READS, column) | (call_numbers(WRITES, column) if can_write else {})
    for number in allowed.values():
        steps += [if_equal(number, 0, 1), answer(ALLOW)]
    for name, number in call_numbers(CHECKED, column).items():
        steps += [if_equal(number, 0, len(checked[name])), *checked[name]]
    return [*steps, if_at_least(FIRST_NEW_CALL, 0, 1), refuse(ENOSYS), refuse(EPERM)]


def packed(program: list[tuple[int, int, int, int]]) -> bytes:
    """As struct sock_filter[]."""
    return b"".join(struct.pack("=HBBI", *step) for step in program)
