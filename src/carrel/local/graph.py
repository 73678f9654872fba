"""The dependency graph of a study as text (Mermaid, Graphviz's dot) or as a drawing (SVG). Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean

Needs = Mapping[str, Sequence[str]]
"""Action -> the actions it needs; no cycles, every need is a key."""

CHAR, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 8, 36, 28, 52, 16
"""Pixels: width of one character, and sizes of the drawing."""


def draw(needs: Needs, form: str) -> str:
    """The graph as `mermaid`, `dot` or `svg`, ending in a newline."""
    return {"mermaid": mermaid, "dot": dot, "svg": svg}[form](needs)


def edges(needs: Needs) -> list[tuple[str, str]]:
    """(needed, needing), in file order, each once."""
    return [(need, action) for action, needed in needs.items() for need in dict.fromkeys(needed)]


def mermaid(needs: Needs) -> str:
    """A Mermaid flowchart. Nodes are numbered, since action names may be Mermaid's own words (`end`)."""
    ids = {action: f"a{number}" for number, action in enumerate(needs)}
    nodes = (f'    {ids[action]}["{escape(action)}"]' for action in needs)
    arrows = (f"    {ids[need]} --> {ids[action]}" for need, action in edges(needs))
    return "\n".join(["flowchart TD", *nodes, *arrows, ""])


def dot(needs: Needs) -> str:
    nodes = (f"    {_quoted(action)};" for action in needs)
    arrows = (f"    {_quoted(need)} -> {_quoted(action)};" for need, action in edges(needs))
    return "\n".join(["digraph study {", "    node [shape=box];", *nodes, *arrows, "}", ""])


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def layers(needs: Needs) -> list[list[str]]:
    """Actions by the length of the longest way to them, each layer ordered by where its needs stand."""
    depth = _depths(needs)
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for action in needs:
        rows[depth[action]].append(action)
    position: dict[str, float] = {}
    for row in rows:
        row.sort(key=lambda action: fmean(position[need] for need in needs[action]) if needs[action] else 0.0)
        position |= {action: index - len(row) / 2 for index, action in enumerate(row)}
    return rows


def _depths(needs: Needs) -> dict[str, int]:
    """Layer of each action; with a stack of our own, since a chain may be longer than Python's."""
    depth: dict[str, int] = {}
    stack: list[str] = list(needs)[::-1]
    while stack:
        action = stack[-1]
        waiting = [need for need in needs[action] if need not in depth]
        if waiting:
            stack.extend(waiting)
            continue
        depth[action] = 1 + max((depth[need] for need in needs[action]), default=-1)
        stack.pop()
    return depth


@dataclass(frozen=True, slots=True)
class Box:
    """Where one action is drawn, in pixels from the top left corner."""

    action: str
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def svg(needs: Needs) -> str:
    """The graph drawn top down; nothing but this text is needed to show it."""
    boxes = _place(layers(needs))
    width = max((box.x + box.width for box in boxes.values()), default=0) + MARGIN
    height = max((box.y + BOX_HEIGHT for box in boxes.values()), default=0) + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="Actions of the study" font-family="sans-serif" '
        f'font-size="13">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
        *(_arrow(boxes[need], boxes[action]) for need, action in edges(needs)),
        *(line for box in boxes.values() for line in _box(box)),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _place(rows: list[list[str]]) -> dict[str, Box]:
    widths = [sum(_width(action) + GAP_X for action in row) - GAP_X for row in rows]
    widest = max(widths, default=0)
    boxes: dict[str, Box] = {}
    for depth, (row, width) in enumerate(zip(rows, widths, strict=True)):
        x = MARGIN + (widest - width) / 2
        for action in row:
            boxes[action] = Box(action, x, MARGIN + depth * (BOX_HEIGHT + GAP_Y), _width(action))
            x += _width(action) + GAP_X
    return boxes


def _width(action: str) -> float:
    return len(action) * CHAR + 24


def _arrow(start: Box, end: Box) -> str:
    top, bottom = start.y + BOX_HEIGHT, end.y
    bend = (bottom - top) / 2
    curve = f"{start.middle:g} {top + bend:g} {end.middle:g} {bottom - bend:g} {end.middle:g} {bottom:g}"
    path = f"M{start.middle:g} {top:g}C{curve}"
    return f'<path d="{path}" fill="none" stroke="#667" marker-end="url(#tip)"/>'


def _box(box: Box) -> Iterator[str]:
    yield (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{BOX_HEIGHT}" rx="6" fill="#eef3fb" '
        f'stroke="#3a5a9b"/>'
    )
    baseline = box.y + BOX_HEIGHT / 2 + 5
    yield f'<text x="{box.middle:g}" y="{baseline:g}" text-anchor="middle" fill="#112">{escape(box.action)}</text>'
