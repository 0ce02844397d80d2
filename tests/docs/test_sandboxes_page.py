"""The table of docs/sandboxes.md claims what the contract checks, level by level."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.sandbox.base import Level
from evolve.testing.sandbox_contract import checks

PAGE = (Path(__file__).parents[2] / "docs" / "sandboxes.md").read_text(encoding="utf-8")
SHOWN_BY = {
    "reach the network": "the_network_is_out_of_reach",
    "see files of the host": "host_files_are_out_of_sight",
    "see or signal processes": "only_own_processes_are_visible",
    "touch its supervisor": "the_supervisor_cannot_be_touched",
    "be root": "nobody_is_root",
    "read secrets in the environment": "the_environment_holds_no_secret",
    "use inherited file descriptors": "no_descriptor_is_inherited",
    "take more memory": "too_much_memory_is_told_from_a_crash",
    "have more processes": "processes_are_limited",
    "write more than `disk_mb` in one file": "one_file_cannot_fill_the_disk",
    "fill the disk by many files": "many_files_cannot_fill_the_disk",
    "flood stdout and stderr": "output_keeps_head_and_tail",
    "outlive its time": "a_timeout_is_kept_whatever_is_forked",
    "pass a link": "only_plain_files_of_bounded_size_come_out",
}
"""Check of the contract behind each row, by the row's first words."""
BEYOND = "survive a `kill -9`"
"""Shown by tests/sandbox/test_killed_controller.py."""
LEVELS: tuple[Level, ...] = ("docker", "namespace", "process")


def rows() -> dict[str, dict[Level, bool]]:
    """Whether each level is said to stop what a row says."""
    table = PAGE.split("## What each level stops")[1].split("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    return {
        line[0].strip(): {level: "yes" in cell for level, cell in zip(LEVELS, line[1:], strict=True)} for line in lines
    }


@pytest.mark.parametrize(("row", "said"), rows().items(), ids=rows())
def test_a_row_claims_what_is_checked(row: str, said: dict[Level, bool]) -> None:
    if row.startswith(BEYOND):
        assert all(said.values())
        return
    (check,) = [check for words, check in SHOWN_BY.items() if row.startswith(words)]
    assert said == {level: check in {one.__name__ for one in checks(level)} for level in LEVELS}


def test_every_check_that_only_strong_levels_pass_has_a_row() -> None:
    everywhere = {one.__name__ for one in checks("process")}
    strong = {one.__name__ for one in checks("docker")} - everywhere
    assert strong <= set(SHOWN_BY.values())
    assert len(rows()) == len(SHOWN_BY) + 1
