"""What every sandbox must do, as plain functions that take a provider and assert.

For plugin authors: build your provider with `LIMITS`, then run `check(provider)` for every check of `checks(level)`. A
check that only some levels can pass says which; what a level is not checked for, it must not promise.
"""

from __future__ import annotations

import functools
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from evolve.errors import SandboxError
from evolve.sandbox.base import LEVELS, ExecResult, Level, Sandbox, SandboxProvider
from evolve.sandbox.supervised import environment

LIMITS = {"memory_mb": 128, "processes": 32, "disk_mb": 32, "output_kb": 64}
"""Settings the checks expect."""
KNOWN_VARIABLES = {*environment("/", "/"), "LC_CTYPE", "PWD", "HOSTNAME"}
"""All that a program may find in its environment; the last three are set by Python, bubblewrap and Docker."""

Check = Callable[[SandboxProvider], None]
STRONG: tuple[Level, ...] = ("docker", "namespace")

_CHECKS: list[tuple[Check, tuple[Level, ...]]] = []


def checks(level: Level) -> list[Check]:
    """The checks a provider of this level must pass."""
    return [check for check, levels in _CHECKS if level in levels]


def holds_at(*levels: Level) -> Callable[[Check], Check]:
    """Enlist a check for these levels only."""

    def enlist(check: Check) -> Check:
        _CHECKS.append((check, levels))
        return check

    return enlist


everywhere = holds_at(*LEVELS)


def run(sandbox: Sandbox, source: str, *, timeout_s: float = 30.0, stdin: bytes = b"") -> ExecResult:
    return sandbox.exec([*sandbox.python, "-c", source], timeout_s=timeout_s, stdin=stdin)


def printed(provider: SandboxProvider, source: str) -> str:
    """What a program that must end well prints, in a sandbox of its own."""
    with provider.open() as sandbox:
        result = run(sandbox, source)
    assert (result.status, result.exit_code) == ("exited", 0), result
    return result.stdout.strip()


def alive(token: str) -> list[int]:
    """Processes of this machine with the token on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def daemon(token: str, *, hold_output: bool, then: str = "") -> str:
    """A program that leaves a process behind which left its session and its parent and shrugs signals off."""
    body = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    streams = "" if hold_output else ", stdin=N, stdout=N, stderr=N"
    return f"""
import os, subprocess, sys
N = subprocess.DEVNULL
if os.fork() == 0:
    os.setsid()
    subprocess.Popen([sys.executable, "-c", {body!r}, {token!r}], start_new_session=True{streams})
    os._exit(0)
os.wait()
print("started", flush=True)
{then}
"""


# Files


@everywhere
def files_go_in_and_out(provider: SandboxProvider) -> None:
    content = bytes(range(256)) * 1000
    with provider.open() as sandbox:
        sandbox.write({"data/deep/in.bin": content, "main.py": b"import shutil; shutil.copy('data/deep/in.bin', 'o')"})
        assert sandbox.exec([*sandbox.python, "main.py"], timeout_s=30).exit_code == 0
        assert sandbox.read("o", max_bytes=len(content)) == content
        sandbox.write({"o": b"new"})
        assert sandbox.read("o", max_bytes=3) == b"new"


@everywhere
def programs_run_in_the_working_directory(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        sandbox.write({"here": b"", "sub/x": b""})
        source = "import os; print(sorted(os.listdir()), os.getcwd() == os.path.realpath(os.environ['HOME']))"
        assert run(sandbox, source).stdout == "['here', 'sub'] True\n"


@everywhere
def files_stay_from_program_to_program(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        run(sandbox, "open('kept', 'w').write('1')")
        assert run(sandbox, "print(open('kept').read())").stdout == "1\n"


@everywhere
def only_plain_files_of_bounded_size_come_out(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        made = run(
            sandbox,
            "import os\n"
            "open('plain', 'wb').write(b'x' * 100); os.symlink('/etc/passwd', 'link'); os.symlink('.', 'loop')\n"
            "os.mkfifo('pipe'); os.mkdir('folder'); open('twin', 'w').write('y'); os.link('twin', 'other')\n"
            "open('hole', 'wb').truncate(30 << 20)",
        )
        assert made.exit_code == 0, made
        assert sandbox.read("plain", max_bytes=100) == b"x" * 100
        for name, most in [("plain", 99), ("hole", 1 << 20)]:
            assert sandbox.read(name, max_bytes=most) is None, name
        for name in ("link", "loop/plain", "pipe", "folder", "twin", "missing", "missing/x", "plain/x"):
            assert sandbox.read(name, max_bytes=1 << 20) is None, name


@everywhere
def paths_cannot_leave_the_working_directory(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        for path in ("../x", "/tmp/x", "a/../../x", "", ".", "a\0b"):
            for attempt in (
                functools.partial(sandbox.write, {path: b""}),
                functools.partial(sandbox.read, path, max_bytes=9),
            ):
                try:
                    attempt()
                except ValueError:
                    continue
                raise AssertionError(f"{path!r} was accepted")


@everywhere
def writing_does_not_follow_planted_links(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        run(sandbox, "import os; os.mkdir('o'); os.symlink('o', 'folder'); os.symlink('o/target', 'file')")
        sandbox.write({"folder/x": b"1", "file": b"2"})
        assert run(sandbox, "import os; print(os.listdir('o'))").stdout == "[]\n"
        assert (sandbox.read("folder/x", max_bytes=1), sandbox.read("file", max_bytes=1)) == (b"1", b"2")


@everywhere
def sandboxes_start_empty_and_apart(provider: SandboxProvider) -> None:
    with provider.open() as first, provider.open() as second:
        first.write({"mine": b"1"})
        source = "import os; print(os.listdir(), os.listdir(os.environ['TMPDIR']))"
        assert run(second, source).stdout == "[] []\n"
        assert second.read("mine", max_bytes=9) is None


@everywhere
def one_file_cannot_fill_the_disk(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        run(sandbox, "open('big', 'wb').write(bytes(40 << 20))")
        size = run(sandbox, "import os; print(os.path.getsize('big') if os.path.exists('big') else 0)").stdout
        assert int(size) <= LIMITS["disk_mb"] << 20


@holds_at(*STRONG)
def many_files_cannot_fill_the_disk(provider: SandboxProvider) -> None:
    source = """
written = 0
for folder in ('.', '/tmp', '/dev/shm'):
    try:
        for number in range(100):
            written += open(f'{folder}/{number}', 'wb').write(bytes(1 << 20))
    except OSError:
        continue
print(written >> 20)
"""
    with provider.open() as sandbox:
        result = run(sandbox, source)
    # Files in memory may also break the memory limit first, which is as good.
    assert result.status == "out_of_memory" or int(result.stdout) <= 3 * LIMITS["disk_mb"], result


# Programs


@everywhere
def exit_codes_and_signals_are_told_apart(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        for source, expected in [
            ("pass", ("exited", 0)),
            ("raise SystemExit(3)", ("exited", 3)),
            ("import os; os._exit(255)", ("exited", 255)),
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", ("killed", None)),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ("killed", None)),
        ]:
            result = run(sandbox, source)
            assert (result.status, result.exit_code) == expected, (source, result)
        missing = sandbox.exec(["./no-such-program"], timeout_s=30)
        assert (missing.status, missing.exit_code) == ("exited", 127)
        assert "no-such-program" in missing.stderr


@everywhere
def stdin_arrives_whole_and_may_be_ignored(provider: SandboxProvider) -> None:
    data = b"0123456789" * 100_000
    with provider.open() as sandbox:
        assert run(sandbox, "import sys; print(len(sys.stdin.buffer.read()))", stdin=data).stdout == "1000000\n"
        assert run(sandbox, "import sys; print(sys.stdin.read() == '')").stdout == "True\n"
        assert run(sandbox, "pass", stdin=data).exit_code == 0
        assert run(sandbox, "print(1)").stdout == "1\n"


@everywhere
def output_keeps_head_and_tail(provider: SandboxProvider) -> None:
    source = """
import sys
for stream in (sys.stdout, sys.stderr):
    stream.write('first\\n')
    for _ in range(64):
        stream.write('x' * (1 << 20))
    stream.write('\\nlast')
"""
    with provider.open() as sandbox:
        result = run(sandbox, source, timeout_s=60)
    assert result.exit_code == 0, result.status
    for text in (result.stdout, result.stderr):
        assert text.startswith("first\n")
        assert text.endswith("\nlast")
        assert "bytes cut" in text
        assert len(text) <= (LIMITS["output_kb"] << 10) + 100


@everywhere
def output_that_is_not_text_is_no_error(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        result = run(sandbox, "import os; os.write(1, b'\\xff\\xfe\\0ok')")
    assert result.stdout.endswith("\0ok")


@everywhere
def python_and_numpy_work(provider: SandboxProvider) -> None:
    assert printed(provider, "import numpy; print(int(numpy.ones((50, 50)).dot(numpy.ones(50)).sum()))") == "2500"


@everywhere
def the_environment_holds_no_secret(provider: SandboxProvider) -> None:
    name, secret = "EVOLVE_CONTRACT_KEY", uuid.uuid4().hex
    os.environ[name] = secret
    try:
        seen = printed(provider, "import os; print(*os.environ); print(*os.environ.values())")
    finally:
        del os.environ[name]
    names, _, values = seen.partition("\n")
    assert set(names.split()) <= KNOWN_VARIABLES
    assert secret not in values


@everywhere
def no_descriptor_is_inherited(provider: SandboxProvider) -> None:
    source = """
import os
for number in range(3, 512):
    try:
        os.fstat(number)
    except OSError:
        continue
    print(number)
"""
    assert printed(provider, source) == ""


# Time, and what is left


@everywhere
def a_timeout_is_kept_whatever_is_forked(provider: SandboxProvider) -> None:
    token = uuid.uuid4().hex
    loop = "while True: pass"
    respawner = """
while True:
    if os.fork():
        os.wait()
"""
    with provider.open() as sandbox:
        for source in (
            loop,
            "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15, 24)]\n" + loop,
            daemon(token, hold_output=True, then=loop),
            daemon(token, hold_output=False, then=respawner),
        ):
            started = time.monotonic()
            result = run(sandbox, source, timeout_s=1.5)
            assert time.monotonic() - started < 2.5, source
            # A respawner may meet the limit on processes first.
            assert result.status == "timed_out" or (source.endswith(respawner + "\n") and result.status == "killed")
            assert result.exit_code is None
            assert alive(token) == []
        assert run(sandbox, "print(1)").stdout == "1\n"


@everywhere
def output_before_a_timeout_is_kept(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        result = run(sandbox, "import time; print('begun', flush=True); time.sleep(60)", timeout_s=1.0)
    assert (result.status, result.stdout) == ("timed_out", "begun\n")


@everywhere
def a_daemon_neither_delays_nor_outlives_its_program(provider: SandboxProvider) -> None:
    token = uuid.uuid4().hex
    with provider.open() as sandbox:
        for hold_output in (True, False):
            result = run(sandbox, daemon(token, hold_output=hold_output), timeout_s=30)
            assert (result.exit_code, result.stdout) == (0, "started\n")
            assert result.seconds < 10
            assert alive(token) == []


@everywhere
def closing_leaves_nothing(provider: SandboxProvider) -> None:
    token = uuid.uuid4().hex
    sandbox = provider.open()
    talk = sandbox.converse([*sandbox.python, "-uc", daemon(token, hold_output=True, then="input()")], timeout_s=30)
    assert talk.receive(100) == b"started"
    assert alive(token)
    sandbox.close()
    assert alive(token) == []


@everywhere
def closing_from_another_thread_ends_a_program(provider: SandboxProvider) -> None:
    sandbox = provider.open()
    said = threading.Event()
    ends: list[object] = []

    def talk() -> None:
        try:
            conversation = sandbox.converse([*sandbox.python, "-uc", "print(1); input()"], timeout_s=60)
            conversation.receive(9)
            said.set()
            ends.append(conversation.receive(9))
        except SandboxError as error:
            ends.append(error)

    thread = threading.Thread(target=talk)
    thread.start()
    assert said.wait(30)
    started = time.monotonic()
    sandbox.close()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - started < 5
    assert isinstance(ends[0], SandboxError), ends


@everywhere
def sandboxes_work_side_by_side(provider: SandboxProvider) -> None:
    answers: list[str] = []

    def work(number: int) -> None:
        with provider.open() as sandbox:
            sandbox.write({"n": str(number).encode()})
            answers.append(run(sandbox, "print(open('n').read())").stdout.strip())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["0", "1", "2", "3"]


# Limits


@everywhere
def too_much_memory_is_told_from_a_crash(provider: SandboxProvider) -> None:
    hog = "kept = []\nfor _ in range(400): kept.append(b'x' * (1 << 20))\nimport time; time.sleep(20)"
    family = f"import os, time\nfor _ in range(3): os.fork()\n{hog.replace('400', '60')}"
    with provider.open() as sandbox:
        for source in (hog, family):
            result = run(sandbox, source, timeout_s=30)
            assert (result.status, result.exit_code) == ("out_of_memory", None), result
        assert run(sandbox, "x = b'x' * (64 << 20); print(len(x))").stdout == f"{64 << 20}\n"
        assert run(sandbox, "raise MemoryError").exit_code == 1


@everywhere
def shared_pages_are_not_counted_twice(provider: SandboxProvider) -> None:
    source = """
import os, time
block = b'x' * (60 << 20)
for _ in range(8):
    if os.fork() == 0:
        time.sleep(0.5)
        os._exit(0)
for _ in range(8):
    os.wait()
"""
    with provider.open() as sandbox:
        assert run(sandbox, source).exit_code == 0


@everywhere
def processes_are_limited(provider: SandboxProvider) -> None:
    source = """
import os, time
made = 0
try:
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(60)
        made += 1
        time.sleep(0.005)
except OSError:
    pass
print(made)
"""
    with provider.open() as sandbox:
        result = run(sandbox, source)
        assert result.status == "killed" or int(result.stdout) <= LIMITS["processes"], result
        assert run(sandbox, "print(1)").stdout == "1\n"


@holds_at(*STRONG)
def the_network_is_out_of_reach(provider: SandboxProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = f"""
import socket
for host in ("127.0.0.1", "172.17.0.1", "192.0.2.1"):
    try:
        socket.create_connection((host, {port}), timeout=1).close()
    except OSError:
        continue
    print("reached", host)
with open("/proc/net/dev") as file:
    print([line.split(":")[0].strip() for line in file if ":" in line])
"""
        assert printed(provider, source) == "['lo']"


@holds_at(*STRONG)
def host_files_are_out_of_sight(provider: SandboxProvider) -> None:
    with tempfile.NamedTemporaryFile(dir="/tmp") as secret:
        source = (
            f"import os; print(os.path.exists({secret.name!r}), os.path.exists('/home'), os.path.exists('/etc/shadow'))"
        )
        assert printed(provider, source) == "False False False"


@holds_at(*STRONG)
def only_own_processes_are_visible(provider: SandboxProvider) -> None:
    assert int(printed(provider, "import os; print(sum(n.isdigit() for n in os.listdir('/proc')))")) == 2


@holds_at(*STRONG)
def the_supervisor_cannot_be_touched(provider: SandboxProvider) -> None:
    source = """
import os, signal
for number in range(1, 65):
    if number != signal.SIGCHLD:
        try:
            os.kill(1, number)
        except OSError:
            pass
for name in ("fd", "mem", "environ"):
    try:
        path = f"/proc/1/{name}"
        os.listdir(path) if name == "fd" else open(path, "rb").read(1)
        print("read", path)
    except OSError:
        pass
print("alive")
"""
    with provider.open() as sandbox:
        result = run(sandbox, source)
        assert (result.exit_code, result.stdout) == (0, "alive\n"), result
        assert run(sandbox, "print(1)").stdout == "1\n"


@holds_at(*STRONG)
def nobody_is_root(provider: SandboxProvider) -> None:
    source = """
import os
caps = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm", "CapBnd"))]
new = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("NoNewPrivs"))
print(os.getuid() != 0, os.getgid() != 0, {int(c, 16) for c in caps}, new, os.access("/usr", os.W_OK))
"""
    assert printed(provider, source) == "True True {0} 1 False"


# Conversations

ECHO = "import sys\nfor line in sys.stdin: print(line.strip() * 2, flush=True)"


@everywhere
def a_conversation_goes_back_and_forth(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        talk = sandbox.converse([*sandbox.python, "-c", ECHO], timeout_s=30)
        for number in range(50):
            talk.send(b"%d" % number)
            assert talk.receive(100) == b"%d%d" % (number, number)
        result = talk.finish()
        assert (result.status, result.exit_code, result.stdout) == ("exited", 0, "")
        assert run(sandbox, "print(1)").stdout == "1\n"


@everywhere
def a_silent_partner_runs_out_of_time(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        started = time.monotonic()
        talk = sandbox.converse([*sandbox.python, "-c", "import time; time.sleep(60)"], timeout_s=1.0)
        talk.send(b"hello")
        assert talk.receive(100) is None
        assert talk.finish().status == "timed_out"
        assert time.monotonic() - started < 2.0


@everywhere
def a_babbler_is_cut_off(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        talk = sandbox.converse([*sandbox.python, "-c", "while True: print('x' * 65536, end='')"], timeout_s=10)
        assert talk.receive(1000) is None
        assert talk.receive(1000) is None
        assert talk.finish().status == "output_limit"
        talk = sandbox.converse([*sandbox.python, "-c", "while True: print('x' * 500)"], timeout_s=10)
        assert talk.receive(1000) == b"x" * 500
        assert talk.finish().status == "timed_out"


@everywhere
def what_was_said_before_the_end_is_heard(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        source = "import sys; print('one'); print('two'); print('half', end=''); sys.stderr.write('why'); sys.exit(4)"
        talk = sandbox.converse([*sandbox.python, "-c", source], timeout_s=30)
        assert [talk.receive(100) for _ in range(4)] == [b"one", b"two", None, None]
        talk.send(b"too late")
        result = talk.finish()
        assert (result.status, result.exit_code, result.stderr) == ("exited", 4, "why")


@everywhere
def a_partner_that_does_not_stop_is_stopped(provider: SandboxProvider) -> None:
    with provider.open() as sandbox:
        source = "import time; print('up', flush=True); time.sleep(60)"
        talk = sandbox.converse([*sandbox.python, "-c", source], timeout_s=60)
        assert talk.receive(100) == b"up"
        started = time.monotonic()
        assert talk.finish().status == "timed_out"
        assert time.monotonic() - started < 3
