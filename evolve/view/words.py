"""How `evolve node` and `evolve why` tell what `explain` found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evolve.graph import Cost
from evolve.view.text import block, measured, money, one_line, score, table

_POLICIES: Mapping[str, str] = {
    "given": "programs to start from come first",
    "explore": "explored: walked down from the root by value plus exploration",
    "exploit": "exploited: drawn from the best nodes",
    "stagnant": "the whole search stood still, so what came of it was put together",
    "forced": "nothing could grow, so a new branch was opened",
}
"""Words of the project's own search; another policy's are shown as they are."""


def node_lines(node: Mapping[str, Any]) -> Iterator[str]:
    """`describe` in words."""
    yield f"{node['id']}  {node['operator']} of {node['parent_id']}, branch {node['branch_id']}, step {node['step']}"
    yield from _verdict(node)
    yield from _plan(node)
    yield from _section("change", node["patch"])
    yield from _evaluation(node["evaluation"])


def why_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """`explain` in words."""
    yield f"{found['id']}  {found['operator']} of {found['parent_id']}, branch {found['branch_id']}, step {found['step']}"
    yield f"state     {found['state']}" + (f": {one_line(found['abandoned'])}" if found["abandoned"] else "")
    yield from _selection(found["selection"])
    if found["given"] is not None:
        yield f"given     program {found['given'] + 1} of those to start from"
    for role, model in sorted(found["models"].items()):
        yield f"asked     {one_line(model)} first as {one_line(role)}"
    if found["noise"] is not None:
        yield f"noise     {found['noise']:.3g} at the time (standard deviation of one evaluation)"
    if found["best_then"]:
        yield f"best then {_mention(found['best_then'])}"
    for one in found["references"]:
        yield f"read      {_mention(one)} as {one_line(one['role'])}"
    if found["beside"]:
        yield f"beside    {', '.join(found['beside'])}, drafts in flight that it was to differ from"
    for one in found["shown"]:
        yield f"shown     {_mention(one)}"
    for one in found["recalled"]:
        yield f"recalled  {one['node_id']} ({one['operator']}, {one['status']}): {one_line(one['lesson'] or one['title'])}"
    for call in found["calls"]:
        yield from _call(call)
    if found["node"]:
        yield ""
        yield from _verdict(found["node"])
        yield from _plan(found["node"])
        yield from _section("change", found["node"]["patch"])
        yield from _evaluation(found["node"]["evaluation"])


def _selection(selection: Mapping[str, Any]) -> Iterator[str]:
    yield f"selected  {_POLICIES.get(selection['policy'], one_line(selection['policy']))}"
    constant = selection["exploration_constant"]
    terms = f": c = {constant:.3g}, chance to explore {selection['explore_chance']:.0%}" if constant else ""
    spread = f", {selection['branches']:.1f} effective branches" if selection["branches"] else ""
    yield f"          at {selection['progress']:.0%} of the budget{terms}{spread}"
    rows = [
        (
            choice["node_id"],
            str(choice["visits"]),
            f"{choice['mean']:.4g}",
            f"{choice['exploration']:.4g}",
            f"{choice['mean'] + choice['exploration']:.4g}",
            str(choice["rivals"]),
        )
        for choice in selection["path"]
    ]
    if rows:
        for line in table(("taken", "visits", "mean", "exploration", "value", "rivals"), rows):
            yield f"          {line}"


def _verdict(node: Mapping[str, Any]) -> Iterator[str]:
    isolated = "" if node["isolated"] else "  [score not isolated]"
    yield f"status    {node['status']}" + (f" of {node['twin_id']}" if node["twin_id"] else "")
    yield f"score     {measured(node['score'], node['error'], node['evaluations'])}{isolated}"
    if node["suspicion"]:
        yield f"doubted   {one_line(node['suspicion'])}"
    if node["gain"] is not None or node["predicted_gain"] is not None:
        predicted = "" if node["predicted_gain"] is None else f", predicted {_signed(node['predicted_gain'])}"
        yield f"gain      {_signed(node['gain'])} over {node['parent_id']}{predicted}"
    if node["metrics"]:
        yield f"metrics   {', '.join(f'{one_line(name)} {value:.6g}' for name, value in sorted(node['metrics'].items()))}"
    yield f"reward    {score(node['reward'])}; now {node['visits']} visits, value {node['value_sum']:.4g}"
    yield f"cost      {money(Cost(**node['cost']))}"
    if node["stage_seconds"]:
        yield f"seconds   {', '.join(f'{one_line(name)} {taken:.3g}' for name, taken in node['stage_seconds'].items())}"
    if node["level"]:
        yield f"sandbox   {node['level']}"


def _signed(gain: float | None) -> str:
    return "unknown" if gain is None else f"{gain:+.6g}"


def _plan(node: Mapping[str, Any]) -> Iterator[str]:
    plan = node["plan"]
    yield f"title     {one_line(node['title'])}"
    if plan.get("why"):
        yield f"why       {one_line(plan['why'])}"
    for change in plan.get("changes", ()):
        yield f"change    {one_line(change['where'])}: {one_line(change['what'])}"
    if plan.get("keep"):
        yield f"keep      {one_line(plan['keep'])}"
    if node["touched"]:
        yield f"touched   {', '.join(map(one_line, node['touched']))}"
    if node["mode"]:
        yield f"written   as {node['mode']}, asked again {node['reasks']} times"
    for note in (*node["notes"], *([node["reason"]] if node["reason"] else ())):
        yield f"note      {one_line(note)}"


def _evaluation(evaluation: Mapping[str, Any]) -> Iterator[str]:
    yield from _section("feedback", evaluation.get("feedback", ""))
    for name, text in sorted(evaluation.get("artifacts", {}).items()):
        yield from _section(f"artifact {one_line(name)}", text)
    yield from _section("stdout", evaluation.get("stdout", ""))
    yield from _section("stderr", evaluation.get("stderr", ""))


def _call(call: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield (
        f"call {one_line(call['id'])}  {one_line(call['model'])}, {call['prompt_tokens']} + "
        f"{call['completion_tokens']} tokens, ${call['money_usd']:.4f}, {call['seconds']:.3g} s"
    )
    if call["instead_of"]:
        yield f"          instead of {one_line(call['instead_of'])}, which failed"
    for message in call["messages"]:
        yield from _section(f"prompt ({message['role']})", message["content"])
    yield from _section(f"reply ({call['finish']})", call["reply"])


def _section(title: str, text: str) -> Iterator[str]:
    if text.strip():
        yield f"--- {title} ---"
        yield block(text).rstrip("\n")


def _mention(node: Mapping[str, Any]) -> str:
    return f"{node['id']} ({score(node['score']) if node['status'] == 'scored' else node['status']}): {one_line(node['title'], 80)}"
