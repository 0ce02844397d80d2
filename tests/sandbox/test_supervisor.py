"""The parts of the supervisor that decide something; what it does to processes is in the contract."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.sandbox import supervisor
from evolve.sandbox.supervised import Closed, Late, Wire, checked, environment, frame, parse_result
from evolve.sandbox.supervisor import RESULT, Capture, Channel, ControllerGone, pause_s, read_file, write_file


@given(st.lists(st.binary(max_size=40)), st.integers(2, 64))
def test_a_capture_keeps_head_and_tail_and_counts_the_rest(chunks: list[bytes], cap: int) -> None:
    capture = Capture(cap)
    for chunk in chunks:
        capture.add(chunk)
        assert len(capture.head) + len(capture.tail) <= cap
    whole, half = b"".join(chunks), cap // 2
    if len(whole) <= 2 * half:
        assert capture.text() == whole
    else:
        assert capture.text().startswith(whole[:half])
        assert capture.text().endswith(whole[-half:])
        assert capture.cut == len(whole) - 2 * half
        assert b"%d bytes cut" % capture.cut in capture.text()


frames = st.lists(st.tuples(st.sampled_from([b"x", b"i", b"d"]), st.binary(max_size=300)), max_size=20)


@given(frames, st.integers(1, 400))
def test_frames_arrive_however_they_are_cut(sent: list[tuple[bytes, bytes]], step: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs.fileno(), theirs.fileno())
        stream = b"".join(frame(kind, body) for kind, body in sent)
        received = []
        for start in range(0, len(stream), step):
            ours.sendall(stream[start : start + step])
            channel.fill()
            while (one := channel.take()) is not None:
                received.append(one)
        assert received == sent


@given(frames, st.integers(1, 400), st.integers(1, 400))
def test_the_engines_streams_are_taken_apart(sent: list[tuple[bytes, bytes]], cut: int, step: int) -> None:
    stream = b"".join(frame(kind, body) for kind, body in sent)
    packed = b"\2\0\0\0\0\0\0\3abc"
    for start in range(0, len(stream), cut):
        piece = stream[start : start + cut]
        packed += b"\1\0\0\0" + len(piece).to_bytes(4, "big") + piece
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(packed)
        theirs.shutdown(socket.SHUT_WR)
        wire = Wire(ours, multiplexed=True)
        assert [wire.receive(deadline()) for _ in sent] == sent
        with pytest.raises(Closed):
            wire.receive(deadline())
        assert wire.stderr == "abc"


def deadline(seconds: float = 10) -> float:
    return supervisor.time.monotonic() + seconds


def test_silence_is_told_from_absence() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = Wire(ours, multiplexed=False)
        for wait in (0.0, 0.01):
            with pytest.raises(Late):
                wire.receive(deadline(wait))
        with pytest.raises(Late):
            wire.send(bytes(10 << 20), deadline(0.01))
        theirs.close()
        with pytest.raises(Closed):
            wire.send(b"x", deadline())


def test_the_supervisor_never_waits_for_a_controller_that_does_not_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs.fileno(), theirs.fileno())
        channel.put(b"o", bytes(10 << 20))
        assert channel.outbox
        ours.close()
        with pytest.raises(ControllerGone):
            channel.flush()
        with pytest.raises(ControllerGone):
            channel.wait()


names = st.text("ab./\\\n é", min_size=1, max_size=12)


@given(names)
def test_accepted_paths_stay_below(path: str) -> None:
    try:
        inside = checked(path)
    except ValueError:
        return
    assert os.path.normpath(f"/root/{inside}").startswith("/root/")
    assert inside == checked(inside)


@given(content=st.binary(max_size=100), limit=st.integers(0, 100))
def test_files_come_back_if_they_fit(tmp_path_factory: pytest.TempPathFactory, content: bytes, limit: int) -> None:
    root = str(tmp_path_factory.mktemp("root"))
    write_file(root, "a/b/c", content)
    assert read_file(root, "a/b/c", limit) == (content if len(content) <= limit else None)


def test_whatever_blocks_a_folder_gives_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/")
    for name in ("file", "link"):
        write_file(str(tmp_path), f"{name}/x", b"1")
        assert (tmp_path / name / "x").read_bytes() == b"1"
    with pytest.raises(OSError):
        write_file(str(tmp_path), "file", b"a folder of that name is in the way")


def test_the_watcher_looks_more_often_as_memory_gets_short() -> None:
    assert pause_s(1 << 40) == 0.1
    assert pause_s(256 << 20) < pause_s(512 << 20)
    assert pause_s(-1) == 0.01


def test_results_are_read_as_they_were_packed() -> None:
    result = parse_result(RESULT.pack(b"timed_out", -1, 1.5, 2) + b"\xffo" + b"err")
    assert (result.status, result.exit_code, result.stdout, result.stderr) == ("timed_out", None, "\ufffdo", "err")


def test_an_environment_is_made_of_nothing_else() -> None:
    assert set(environment("/w", "/bin")) == {
        "PATH", "HOME", "TMPDIR", "LANG", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE",
        "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    }  # fmt: skip


def test_missing_kernel_files_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("low 0\n\noom 3\noom_kill 2\n")
    assert supervisor.first_line_with(str(tmp_path / "events"), "oom_kill") == 2
    assert supervisor.first_line_with(str(tmp_path / "events"), "max") is None
    assert supervisor.first_line_with(str(tmp_path / "none"), "oom_kill") is None
