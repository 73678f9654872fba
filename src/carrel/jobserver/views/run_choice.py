"""What is ticked and chosen on the run page, as its form, its buttons and links to it say."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from django.http import QueryDict

from carrel.jobserver.models.projects import NotifyWhen
from carrel.jobserver.run_options import RunChoices
from carrel.jobserver.runs.matrix import MatrixRow
from carrel.jobserver.runs.preview import Wish
from carrel.jobserver.service.submissions import MAX_KEY

TICK_WORDS = (
    ("all", "all"),
    ("none", "none"),
    ("failed", "failed"),
    ("never_ran", "never ran"),
    ("changed", "changed since"),
)
"""What the buttons that tick go by, and what they say."""
MAX_SEARCH = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """What is ticked and chosen: by backend, actions; where dependencies are forced; when to tell.

    `search` and `page` say which actions show of a study that has many; `pressed` is the button that ticks, such as
    `failed`, or `all:north` of one backend.
    """

    ticks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    force: frozenset[str] = frozenset()
    notify: str = ""
    submission_key: str = ""
    search: str = ""
    page: str = ""
    pressed: str = ""

    def wishes(self, options: RunChoices) -> dict[str, Wish]:
        """What planning is asked for, with the actions in the file's order."""
        return {
            slug: Wish(
                actions=tuple(name for name in (*options.pipeline.all_actions, *sorted(names)) if name in names),
                force=slug in self.force,
            )
            for slug, names in self.ticks.items()
        }

    def hidden_ticks(self, shown: Collection[str]) -> list[str]:
        """What is ticked of actions that do not show, as the form keeps it: a value for each backend."""
        hidden = {slug: sorted(names.difference(shown)) for slug, names in self.ticks.items()}
        return [f"{slug}:{','.join(names)}" for slug, names in hidden.items() if names]

    def after_press(self, rows: Iterable[MatrixRow]) -> "Choice":
        """Tick those of these rows' boxes that the button means, or none of them."""
        word, _, backend = self.pressed.partition(":")
        ticks = {slug: set(names) for slug, names in self.ticks.items()}
        for cell in (cell for row in rows for cell in row.cells if backend in ("", cell.backend)):
            if word == "none":
                ticks.get(cell.backend, set()).discard(cell.action)
            elif cell.refusal is None and (word == "all" or word in cell.traits.split()):
                ticks.setdefault(cell.backend, set()).add(cell.action)
        return replace(self, ticks={slug: frozenset(names) for slug, names in ticks.items() if names}, pressed="")


def choice_of(data: QueryDict) -> Choice:
    """Read what a form, or a link with ticks, says; what makes no sense is left out."""
    ticks: dict[str, set[str]] = defaultdict(set)
    for tick in data.getlist("tick"):
        slug, _, actions = tick.partition(":")
        if slug and actions:
            ticks[slug].update(filter(None, actions.split(",")))
    notify, search = data.get("notify", ""), data.get("search", "").strip()[:MAX_SEARCH]
    return Choice(
        ticks={slug: frozenset(actions) for slug, actions in ticks.items()},
        force=frozenset(data.getlist("force")),
        notify=notify if notify in NotifyWhen.values else "",
        submission_key=data.get("submission_key", "")[:MAX_KEY],
        search=search,
        page=data.get("page", "") if search == data.get("searched", search) else "",
        pressed=data.get("ticks", ""),
    )
