"""The graph of what needs what, drawn in layers from left to right. Pure: actions in, SVG out."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from django.utils.safestring import SafeString

from carrel.pages.status_words import Family
from carrel.pages.svg import element, labelled

HEIGHT, ROW, TIGHT_ROW = 30, 50, 36
"""Of a box, from one box to the next below it, and the same where a layer has many."""
MANY = 6
GAP = 38
"""From one layer to the next. Layers stand in the middle, or at the top where one is too high to be seen whole."""
MARGIN = 3
LETTER = 7.6
"""About as wide as a letter is at 13 pixels; widths are set for the widest common system font."""
FITTING = 720
"""A graph no wider than this is made a little smaller where it does not fit a wide screen's card; others scroll."""
MAX_LETTERS = 30
MAX_WORDS = 60
"""Most actions that the description tells one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAction:
    """One box. `needs` name other boxes; a name that is not there is passed over. `note` follows the name: `reused`."""

    name: str
    needs: tuple[str, ...] = ()
    family: Family | None = None
    note: str = ""
    url: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} · {self.note}" if self.note else self.name


@dataclass(frozen=True, slots=True)
class _Box:
    action: GraphAction
    x: float
    y: float
    width: float


def layers_of(actions: Sequence[GraphAction]) -> list[list[GraphAction]]:
    """Put each action one layer to the right of the last action that it needs; where needs run in a circle, beyond all.

    Within a layer, actions stand near those that they need, so that lines cross seldom.
    """
    by_name = {action.name: action for action in actions}
    needs = {
        name: {need for need in action.needs if need in by_name and need != name} for name, action in by_name.items()
    }
    missing = {name: len(needed) for name, needed in needs.items()}
    needed_by: dict[str, list[str]] = {name: [] for name in by_name}
    for name, needed in needs.items():
        for need in needed:
            needed_by[need].append(name)
    layers: list[list[GraphAction]] = []
    row_of: dict[str, float] = {}
    ready = [name for name, count in missing.items() if not count]
    while len(row_of) < len(by_name):
        # Only a circle leaves actions of which none is ready.
        ready = ready or [name for name in by_name if name not in row_of]
        layer = sorted(ready, key=lambda name: fmean([row_of[need] for need in needs[name] if need in row_of] or [0]))
        row_of |= {name: row - len(layer) / 2 for row, name in enumerate(layer)}
        layers.append([by_name[name] for name in layer])
        ready = []
        for name in (dependent for placed in layer for dependent in needed_by[placed]):
            missing[name] -= 1
            if not missing[name] and name not in row_of:
                ready.append(name)
    return layers


def direct_needs(layers: Sequence[Sequence[GraphAction]]) -> list[tuple[str, str]]:
    """Return the lines to draw: (needed, needing), without those that a longer way implies and without circles."""
    depth = {action.name: number for number, layer in enumerate(layers) for action in layer}
    bit = {name: 1 << number for number, name in enumerate(depth)}
    # By action, all that it needs, as bits: sets of hundreds, for hundreds of actions, take long.
    reached: dict[str, int] = {}
    lines = []
    for action in (action for layer in layers for action in layer):
        needs = [need for need in dict.fromkeys(action.needs) if need in depth and depth[need] < depth[action.name]]
        implied = 0
        for need in needs:
            implied |= reached[need]
        reached[action.name] = implied
        for need in needs:
            reached[action.name] |= bit[need]
        lines += [(need, action.name) for need in needs if not implied & bit[need]]
    return lines


def graph_svg(actions: Sequence[GraphAction], title: str) -> SafeString:
    """Draw the graph, as large as it needs; the page puts it into a box that scrolls (`{% graph %}`)."""
    layers = layers_of(actions)
    boxes = _boxes(layers)
    lines = [_line(boxes[needed], boxes[needing]) for needed, needing in direct_needs(layers)]
    width = max((box.x + box.width for box in boxes.values()), default=0) + MARGIN
    height = max((box.y + HEIGHT for box in boxes.values()), default=0) + MARGIN
    return element(
        "svg",
        labelled(title, in_words(actions)),
        element("path", d="".join(lines), class_="lines"),
        *(_drawn(box) for box in boxes.values()),
        class_="graph fitting" if width <= FITTING else "graph",
        width=width,
        height=height,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="group",
        aria_label=title,
    )


def _boxes(layers: Sequence[Sequence[GraphAction]]) -> dict[str, _Box]:
    most = max((len(layer) for layer in layers), default=0)
    row = TIGHT_ROW if most > MANY else ROW
    boxes: dict[str, _Box] = {}
    x = float(MARGIN)
    for layer in layers:
        width = 48 + LETTER * max(min(len(action.label), MAX_LETTERS) for action in layer)
        top = MARGIN + ((most - len(layer)) * row / 2 if most <= MANY else 0)
        boxes |= {action.name: _Box(action, x, top + number * row, width) for number, action in enumerate(layer)}
        x += width + GAP
    return boxes


def _line(needed: _Box, needing: _Box) -> str:
    x, y, x_end, y_end = needed.x + needed.width, needed.y + HEIGHT / 2, needing.x, needing.y + HEIGHT / 2
    if y == y_end:
        return f"M{x:.1f} {y:.1f}H{x_end:.1f}"
    middle = x_end - GAP / 2
    start = max(x_end - GAP, x)
    return f"M{x:.1f} {y:.1f}H{start:.1f}C{middle:.1f} {y:.1f} {middle:.1f} {y_end:.1f} {x_end:.1f} {y_end:.1f}"


def _drawn(box: _Box) -> SafeString:
    label = box.action.label
    shown = label if len(label) <= MAX_LETTERS else f"{label[: MAX_LETTERS - 1]}…"
    family = box.action.family
    y = box.y + HEIGHT / 2
    icon = element("use", href=f"#i-{family}", x=box.x + 11, y=y - 6, width=12, height=12) if family else ""
    group = element(
        "g",
        element("title", f"{label}: {family or 'will not run'}"),
        element("rect", x=box.x, y=box.y, width=box.width, height=HEIGHT, rx=6),
        icon,
        element("text", shown, x=box.x + (30 if family else 12), y=y + 4.5),
        class_=f"box {family or 'plain-box'}{' noted' if box.action.note else ''}",
    )
    return element("a", group, href=box.action.url) if box.action.url else group


def in_words(actions: Sequence[GraphAction]) -> str:
    """Tell the graph as sentences: `normalise (running) needs extract.`"""
    sentences = [
        f"{action.label} ({action.family or 'will not run'})"
        + (f" needs {', '.join(action.needs)}." if action.needs else ".")
        for action in actions[:MAX_WORDS]
    ]
    left_out = len(actions) - len(sentences)
    return " ".join([*sentences, f"And {left_out} more."] if left_out else sentences)
