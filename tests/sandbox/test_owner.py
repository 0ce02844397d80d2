"""Who is dead and who is only elsewhere."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.sandbox.owner import Owner, start_of, this_process

numbers = st.integers(0, 1 << 40)


@given(st.builds(Owner, numbers, numbers, numbers, st.text("0123456789abcdef", min_size=1)))
def test_an_owner_survives_being_written_down(owner: Owner) -> None:
    assert Owner.parse(str(owner)) == owner


@pytest.mark.parametrize("text", ["", "1-2-3", "a-2-3-b", "1-2-3-b-5", "-1-2-3-b"])
def test_anything_else_is_nobody(text: str) -> None:
    assert Owner.parse(text) is None


def test_we_live() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert here.same_boot
    assert not here.dead


def test_the_dead_are_known_by_their_start() -> None:
    here = this_process()
    assert dataclasses.replace(here, started=here.started + 1).dead
    assert dataclasses.replace(here, pid=(1 << 22) + 1).dead


def test_strangers_are_not_judged() -> None:
    here = dataclasses.replace(this_process(), started=1)
    assert not dataclasses.replace(here, boot="elsewhere").dead
    assert not dataclasses.replace(here, pid_namespace=here.pid_namespace + 1).dead


def test_a_zombie_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert start_of(process.pid) is None
    process.wait()
