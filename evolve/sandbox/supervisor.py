"""Run programs for a controller, within limits, and leave none of them behind. The same file serves every level.

It is started as `python -I -S`, speaks frames on stdin and stdout (see `supervised.py` for the other end), and ends, with
everything it started, when its stdin does: a controller that is killed with -9 leaves nothing. It uses the standard
library only, needs Linux, and knows nothing of tasks, levels or engines.

What the program it runs can do to it: where it is pid 1 of a pid namespace (bubblewrap, Docker) nothing, since the kernel
drops signals sent to pid 1 from inside and a non-dumpable process cannot be traced. At level `process` a program of the
same user can kill or stop it; the controller then notices the silence and cleans up as well as it can.
"""

# pathlib and contextlib cost more to import than they save here:
# ruff: noqa: PTH123, PTH208, SIM105
from __future__ import annotations

# The public wrappers of these two (signal, ctypes) cost as much to import as the interpreter takes to start.
import _ctypes
import _signal  # type: ignore[import-not-found]
import os
import resource
import select
import stat
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` and `collections.abc` would be imported for annotations only
    from collections.abc import Callable

HEADER = struct.Struct(">cI")
"""Kind of frame and length of its body."""
RUN = struct.Struct(">d")
"""Seconds allowed; NUL-separated arguments follow."""
READ = struct.Struct(">Q")
"""Most bytes wanted; a path follows."""
RESULT = struct.Struct(">16sidI")
"""Status, exit code (-1: none), seconds, length of stdout; stdout and stderr follow."""

CHUNK = 1 << 16
IDLE_S = 6 * 3600.0
"""Without a request for so long, the controller is taken for dead even though its end seems open."""
BURY_EVERY_S = 1.0
LAST_WORDS = 4 << 20
"""Most bytes taken from a pipe after its writers are dead; more than a pipe can hold."""
END_GRACE_S = 1.0
"""How long a program may go on after its stdin was closed at the end of a conversation."""
FASTEST_GROWTH = 8 << 30
"""Bytes a second a program is taken to fill memory at; sets how often the watcher looks."""
OPEN_FILES = 512

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38

OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where control groups v2 and v1 count the processes killed for want of memory."""


class ControllerGone(Exception):
    """The other end closed the channel."""


class Settings:
    """Limits, as whole numbers on the command line."""

    def __init__(self, argv: list[str]) -> None:
        self.memory, self.processes, self.disk, self.output, self.cpu_percent, watched = map(int, argv)
        self.watched = bool(watched)
        """Whether memory and processes are ours to watch; if not, a control group does it."""


class Channel:
    """Frames from and to the controller. Never blocks except in `wait`."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink
        self.inbox = bytearray()
        self.outbox = bytearray()
        os.set_blocking(source, False)
        os.set_blocking(sink, False)

    def fill(self) -> None:
        try:
            chunk = os.read(self.source, CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            chunk = b""
        if not chunk:
            raise ControllerGone
        self.inbox += chunk

    def take(self) -> tuple[bytes, bytes] | None:
        """The next whole frame, if one has arrived."""
        if len(self.inbox) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self.inbox)
        end = HEADER.size + length
        if len(self.inbox) < end:
            return None
        body = bytes(self.inbox[HEADER.size : end])
        del self.inbox[:end]
        return kind, body

    def put(self, kind: bytes, body: bytes = b"") -> None:
        self.outbox += HEADER.pack(kind, len(body)) + body
        self.flush()

    def flush(self) -> None:
        try:
            while self.outbox:
                del self.outbox[: os.write(self.sink, self.outbox[:CHUNK])]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionError):
            raise ControllerGone from None

    def watch(self, poll: select.poll) -> None:
        """Register for what the channel waits for; source and sink may be one socket under two numbers."""
        poll.register(self.source, select.POLLIN)
        if self.outbox:
            poll.register(self.sink, select.POLLOUT)

    def wait(self) -> tuple[bytes, bytes]:
        """The next request, however long it takes."""
        while (frame := self.take()) is None:
            poll = select.poll()
            self.watch(poll)
            ready = dict(poll.poll(IDLE_S * 1000))
            if not ready:
                raise ControllerGone
            if self.sink in ready:
                self.flush()
            if self.source in ready:
                self.fill()
        return frame


class Capture:
    """The beginning and the end of a stream in bounded memory."""

    def __init__(self, cap: int) -> None:
        self.half = cap // 2
        self.head = bytearray()
        self.tail = bytearray()
        self.cut = 0

    def add(self, chunk: bytes) -> None:
        room = self.half - len(self.head)
        self.head += chunk[:room]
        self.tail += chunk[room:]
        excess = len(self.tail) - self.half
        if excess > 0:
            del self.tail[:excess]
            self.cut += excess

    def text(self) -> bytes:
        mark = b"\n[... %d bytes cut ...]\n" % self.cut if self.cut else b""
        return bytes(self.head + mark + self.tail)


def prctl(option: int, value: int) -> None:
    _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen("", 0), "prctl"), (option, value, 0, 0, 0))


def first_line_with(path: str, name: str) -> int | None:
    """The number in a `name number` line of a kernel file; None when the file cannot be read or lacks it."""
    try:
        with open(path) as file:
            for line in file:
                words = line.split()
                if words and words[0] == name:
                    return int(words[1])
    except OSError:
        pass
    return None


def oom_kills() -> int:
    """Processes of our control group killed for want of memory so far."""
    return next((count for path in OOM_COUNTERS if (count := first_line_with(path, "oom_kill")) is not None), 0)


def descendants() -> list[int]:
    """Every process below this one: all others when it is pid 1 of its namespace."""
    if os.getpid() == 1:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    found: list[int] = []
    queue = [os.getpid()]
    while queue:
        pid = queue.pop()
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as file:
                    queue += (born := [int(child) for child in file.read().split()])
                    found += born
        except OSError:  # ended meanwhile; its children are ours now and found next time
            continue
    return found


def usage() -> tuple[int, int]:
    """Bytes resident in, and threads of, all descendants.

    Summed resident sizes count a page once for every process that shares it, so 80 forks of one interpreter look like
    half a gigabyte: compare them with a limit only to decide whether `proportional` is worth its price.
    """
    resident = threads = 0
    for pid in descendants():
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        threads += int(fields[17])
        resident += int(fields[21]) * resource.getpagesize()
    return resident, threads


def proportional() -> int:
    """Bytes used by all descendants, shared pages divided among those who share them."""
    total = 0
    for pid in descendants():
        pss = first_line_with(f"/proc/{pid}/smaps_rollup", "Pss:")
        # A program can make itself unreadable; it is then charged in full.
        total += pss * 1024 if pss is not None else (first_line_with(f"/proc/{pid}/status", "VmRSS:") or 0) * 1024
    return total


def send_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def reap() -> bool:
    """Collect what has died; whether nothing is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def kill_tree() -> None:
    """End every descendant, daemons and forks under way included.

    Orphans come to us (subreaper, or pid 1), so having no child left means that nothing is left. Processes are frozen
    before they are killed: a pair that restarts each other would otherwise outrun us.
    """
    while not reap():
        if os.getpid() == 1:
            send_signal(-1, _signal.SIGKILL)
        else:
            frozen: set[int] = set()
            while fresh := set(descendants()) - frozen:
                for pid in fresh:
                    send_signal(pid, _signal.SIGSTOP)
                frozen |= fresh
            for pid in frozen:
                send_signal(pid, _signal.SIGKILL)
        time.sleep(0.001)


def lower(which: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, never above the one inherited."""
    ceiling = resource.getrlimit(which)[1]
    cap = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        cap = min(cap, ceiling)
    resource.setrlimit(which, (min(soft, cap), cap))


def process_ceiling(processes: int) -> int:
    """A fork limit that stops a bomb. RLIMIT_NPROC counts per user and user namespace, and does nothing for root.

    As pid 1 we and the program are alone in ours. Elsewhere all that the user runs counts too, so the limit only keeps
    a bomb from outgrowing the watcher.
    """
    if os.getpid() == 1:
        return processes + 1
    with open("/proc/loadavg") as file:
        running = int(file.read().split()[3].partition("/")[2])
    return running + 4 * processes


class Stream:
    """The reading end of a pipe, whose content goes to `sink`."""

    def __init__(self, fd: int, sink: Callable[[bytes], None]) -> None:
        self.fd = fd
        self.sink = sink
        os.set_blocking(fd, False)

    def take(self, limit: int) -> None:
        """Pass on what is there now, at most about `limit` bytes. Never waits for the end: a daemon may hold it open."""
        while self.fd >= 0 and limit > 0:
            try:
                chunk = os.read(self.fd, CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self.close()
                return
            self.sink(chunk)
            limit -= len(chunk)

    def watch(self, poll: select.poll) -> None:
        if self.fd >= 0:
            poll.register(self.fd, select.POLLIN)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Program:
    """One program: started at once, over when `finish` returns."""

    def __init__(
        self, argv: list[bytes], timeout_s: float, settings: Settings, out: Callable[[bytes], None], err: Capture
    ) -> None:
        self.settings = settings
        self.oom_before = oom_kills()
        read_in, self.stdin = os.pipe()
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        self.stdout, self.stderr = Stream(read_out, out), Stream(read_err, err.add)
        self.pending = bytearray()
        self.closing = False
        """No input follows what is pending."""
        self.started = time.monotonic()
        self.deadline = self.started + timeout_s
        self.pid = os.fork()
        if self.pid == 0:
            self._become(argv, timeout_s, (read_in, write_out, write_err))
        for fd in (read_in, write_out, write_err):
            os.close(fd)
        os.set_blocking(self.stdin, False)
        self.pidfd = os.pidfd_open(self.pid)

    def _become(self, argv: list[bytes], timeout_s: float, streams: tuple[int, int, int]) -> None:
        """Turn this fork into the program. Does not return."""
        try:
            prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            os.setsid()
            for number, fd in enumerate(streams):
                os.dup2(fd, number)
            self._limit(timeout_s)
            for number in (_signal.SIGINT, _signal.SIGPIPE, _signal.SIGXFSZ):
                _signal.signal(number, _signal.SIG_DFL)
            os.execvp(argv[0], argv)
        except OSError as error:
            os.write(2, b"%s: %s\n" % (argv[0], os.fsencode(error.strerror or "cannot be run")))
        finally:
            os._exit(127)  # what a shell says of a program that cannot be started

    def _limit(self, timeout_s: float) -> None:
        settings = self.settings
        processor_s = int(timeout_s * settings.cpu_percent / 100) + 1
        lower(resource.RLIMIT_CORE, 0)
        lower(resource.RLIMIT_FSIZE, settings.disk)
        lower(resource.RLIMIT_NOFILE, OPEN_FILES)
        if settings.watched:
            # Address space counts what is reserved and not used (numpy: 100 MB a core), hence so loose.
            lower(resource.RLIMIT_AS, 4 * settings.memory + (4 << 30))
            lower(resource.RLIMIT_CPU, processor_s, processor_s + 1)
            lower(resource.RLIMIT_NPROC, process_ceiling(settings.processes))
        prctl(PR_SET_DUMPABLE, 1)  # opens our own /proc files, until exec does so anyway
        try:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")  # should memory run out, it is the program that goes
        except OSError:
            pass

    def feed(self) -> None:
        """Pass pending input on; a program that no longer reads loses it."""
        if self.stdin < 0:
            self.pending.clear()
            return
        try:
            while self.pending:
                del self.pending[: os.write(self.stdin, self.pending[:CHUNK])]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.pending.clear()
        if self.closing:
            os.close(self.stdin)
            self.stdin = -1

    def watch(self, poll: select.poll) -> None:
        poll.register(self.pidfd, select.POLLIN)
        if self.pending and self.stdin >= 0:
            poll.register(self.stdin, select.POLLOUT)

    def excess(self) -> tuple[str, float]:
        """Which limit the tree broke, if any, and how many seconds may pass until the next look."""
        used, threads = usage()
        if used > self.settings.memory:
            used = proportional()
        if used > self.settings.memory:
            return "out_of_memory", 0.0
        if threads > self.settings.processes:
            return "killed", 0.0
        return "", pause_s(self.settings.memory - used)

    def finish(self, cause: str) -> tuple[str, int]:
        """End the whole tree; the status and the exit code (-1: none)."""
        ended = 0 if cause else os.waitpid(self.pid, 0)[1]
        kill_tree()
        for stream in (self.stdout, self.stderr):
            stream.take(LAST_WORDS)
            stream.close()
        os.close(self.pidfd)
        if self.stdin >= 0:
            os.close(self.stdin)
        if cause:
            return cause, -1
        code = os.waitstatus_to_exitcode(ended)
        # A child killed for want of memory does not fail a program that coped with it.
        if code != 0 and oom_kills() > self.oom_before:
            return "out_of_memory", -1
        if code == -_signal.SIGXCPU:
            return "timed_out", -1
        return ("killed", -1) if code < 0 else ("exited", code)


def pause_s(headroom: int) -> float:
    """Time until a program could have filled `headroom` bytes, within reason."""
    return min(0.1, max(0.01, headroom / FASTEST_GROWTH))


def bury_orphans(program_pid: int) -> None:
    """Collect orphans that ended, for they count as processes until then; the program's own status is left in place."""
    while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid != program_pid:
        os.waitpid(dead.si_pid, 0)


def open_folder(root: str, folders: list[str], *, make: bool) -> int:
    """Descend without following a link. When making, whatever stands in the way of a folder is replaced."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for folder in folders:
        try:
            if make:
                make_folder(here, folder)
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def make_folder(here: int, name: str) -> None:
    try:
        os.mkdir(name, dir_fd=here)
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=here)
            os.mkdir(name, dir_fd=here)


def write_file(root: str, path: str, content: bytes) -> None:
    """Create a file anew; one of that name, or a link a program left there, is removed and not written through."""
    *folders, name = path.split("/")
    folder = open_folder(root, folders, make=True)
    try:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            pass
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder), "wb") as file:
            file.write(content)
    finally:
        os.close(folder)


def read_file(root: str, path: str, max_bytes: int) -> bytes | None:
    """A plain file with one name and at most `max_bytes`; None for anything else, links, pipes and devices included."""
    *folders, name = path.split("/")
    try:
        folder = open_folder(root, folders, make=False)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size > max_bytes:
                return None
            content = file.read(max_bytes + 1)
    except OSError:
        return None
    return content if len(content) <= max_bytes else None


class Session:
    """Serves requests one after the other."""

    def __init__(self, channel: Channel, settings: Settings, workdir: str) -> None:
        self.channel = channel
        self.settings = settings
        self.workdir = workdir

    def serve(self) -> None:
        self.channel.put(b"k")
        while True:
            kind, body = self.channel.wait()
            if kind == b"w":
                path, _, content = body.partition(b"\0")
                self._write(os.fsdecode(path), content)
            elif kind == b"r":
                self._read(os.fsdecode(body[READ.size :]), READ.unpack_from(body)[0])
            elif kind in (b"x", b"t"):
                self._run(body[RUN.size :].split(b"\0"), RUN.unpack_from(body)[0], talking=kind == b"t")
            # Input that comes after its program has ended is dropped.

    def _write(self, path: str, content: bytes) -> None:
        try:
            write_file(self.workdir, path, content)
        except OSError as error:
            self.channel.put(b"e", os.fsencode(f"{path}: {error.strerror}"))
        else:
            self.channel.put(b"k")

    def _read(self, path: str, max_bytes: int) -> None:
        content = read_file(self.workdir, path, max_bytes)
        self.channel.put(b"n") if content is None else self.channel.put(b"f", content)

    def _run(self, argv: list[bytes], timeout_s: float, *, talking: bool) -> None:
        """Run a program to its end. When `talking`, stdout goes out as it comes; else it is captured."""
        out, err = Capture(self.settings.output), Capture(self.settings.output)
        sink = (lambda chunk: self.channel.put(b"o", chunk)) if talking else out.add
        program = Program(argv, timeout_s, self.settings, sink, err)
        cause = self._attend(program, END_GRACE_S if talking else None)
        seconds = time.monotonic() - program.started
        status, code = program.finish(cause)
        if cause == "killed":
            err.add(b"\n[sandbox: more than %d processes and threads]\n" % self.settings.processes)
        stdout = out.text()
        self.channel.put(b"d", RESULT.pack(status.encode(), code, seconds, len(stdout)) + stdout + err.text())

    def _attend(self, program: Program, end_grace_s: float | None) -> str:
        """Pass data on until the program ends by itself ("") or has to be ended (the status that stands for why)."""
        channel = self.channel
        look_at = program.started + pause_s(self.settings.memory) if self.settings.watched else float("inf")
        while True:
            poll = select.poll()
            channel.watch(poll)
            program.watch(poll)
            program.stderr.watch(poll)
            heard = len(channel.outbox) < CHUNK  # a program nobody listens to waits, as at any full pipe
            if heard:
                program.stdout.watch(poll)
            now = time.monotonic()
            pause = max(0.0, min(program.deadline, look_at, now + BURY_EVERY_S) - now)
            ready = dict(poll.poll(pause * 1000))
            channel.flush()
            if channel.source in ready:
                channel.fill()
            self._take_input(program, end_grace_s)
            program.feed()
            program.stderr.take(CHUNK)
            if heard:
                program.stdout.take(CHUNK)
            if program.pidfd in ready:
                return ""
            now = time.monotonic()
            if now >= program.deadline:
                return "timed_out"
            if now >= look_at:
                cause, pause = program.excess()
                if cause:
                    return cause
                look_at = time.monotonic() + pause
            bury_orphans(program.pid)

    def _take_input(self, program: Program, end_grace_s: float | None) -> None:
        while (frame := self.channel.take()) is not None:
            kind, body = frame
            if kind == b"i":
                program.pending += body
            elif kind == b"c":
                program.closing = True
                if end_grace_s is not None:
                    program.deadline = min(program.deadline, time.monotonic() + end_grace_s)


def main(argv: list[str]) -> None:
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    # Python's own handler would make pid 1 listen to an interrupt from inside.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    workdir = os.environ["HOME"]
    os.chdir(workdir)
    try:
        Session(channel, Settings(argv), workdir).serve()
    except ControllerGone:
        pass
    finally:
        kill_tree()


if __name__ == "__main__":
    main(sys.argv[-6:])
