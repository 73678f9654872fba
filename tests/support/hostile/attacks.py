"""One attack: a repository that does harm, made from a seed and a number, so that it can be made again."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.hostile import outputs, projects, vandal
from tests.support.hostile.repositories import DIRECTORY, FILE, LINK, Objects, hostile_tree

VANDAL = Path(vandal.__file__).read_bytes()
PATTERNS = (
    "output/*.csv",
    "output/*.txt",
    "output/*/*.csv",
    "output/*.html",
    "output/*.json",
    "output/*.svg",
)
LEVELS = ("highly_sensitive", "moderately_sensitive")


@dataclass(frozen=True)
class Attack:
    """`commit(folder)` writes a bare repository there and answers its commit; `cancelled`: after so many looks."""

    name: str
    commit: Callable[[Path], str]
    cancelled: int | None = None


def _files(folder: Path, files: dict[str, bytes]) -> tuple[Objects, list[tuple[str, str, str]]]:
    objects = Objects(folder)
    objects.init()
    return objects, [(FILE, name, objects.blob(data)) for name, data in sorted(files.items())]


def _study(files: dict[str, bytes]) -> Callable[[Path], str]:
    def commit(folder: Path) -> str:
        objects, entries = _files(folder, files)
        return objects.commit(objects.tree(entries))

    return commit


def project_of(rng: random.Random, actions: int = 1) -> bytes:
    """A sound project file of so many actions, each of which needs the one before."""
    text = "version: '5'\nactions:\n"
    patterns = rng.sample(PATTERNS, len(PATTERNS))
    for number in range(actions):
        specs: dict[str, dict[str, str]] = {}
        for _ in range(rng.randrange(1, 4)):
            specs.setdefault(rng.choice(LEVELS), {})[f"o{len(patterns)}"] = patterns.pop()
        text += f"  a{number}: {{run: python:v2 python vandal.py {number}, outputs: {json.dumps(specs)}"
        text += f", needs: [a{number - 1}]}}\n" if number else "}\n"
    return text.encode()


def from_recipe(steps: list[outputs.Step], project: bytes) -> Callable[[Path], str]:
    return _study({"project.yaml": project, "recipe.json": json.dumps(steps).encode(), "vandal.py": VANDAL})


def _project(level: str, *patterns: str) -> bytes:
    spec = json.dumps({level: {f"t{number}": pattern for number, pattern in enumerate(patterns)}})
    return f"version: '5'\nactions:\n  a: {{run: python:v2 python vandal.py, outputs: {spec}}}\n".encode()


def _linked_project(folder: Path) -> str:
    """project.yaml as a link, whose text is a project to one reader and a name to another."""
    objects = Objects(folder)
    objects.init()
    text = b"{version: 5, actions: {a: {run: 'python:v2 x.py', outputs: {highly_sensitive: {t: x.csv}}}}}"
    inner = objects.blob(b"[" * 200_000)
    return objects.commit(objects.tree([(LINK, "project.yaml", objects.blob(text)), (FILE, text.decode(), inner)]))


def _tree_bomb(folder: Path) -> str:
    files = {"project.yaml": _project(LEVELS[0], "output/*.csv"), "recipe.json": b"[]", "vandal.py": VANDAL}
    objects, study = _files(folder, files)
    inner = objects.tree([(FILE, "f", study[0][2])])
    for _ in range(10):
        inner = objects.tree([(DIRECTORY, f"d{n}", inner) for n in range(10)])
    return objects.commit(objects.tree([(DIRECTORY, "bomb", inner), *study]))


def known_attacks() -> Iterator[Attack]:
    """Each fault that strangers found, so that every soak looks for those first."""
    moderately, highly = "moderately_sensitive", "highly_sensitive"
    csv, rows = "output/*.csv", "a,b\n1,2\n"

    def leaves(name: str, steps: list[outputs.Step], *patterns: str, level: str = moderately) -> Attack:
        return Attack(name, from_recipe(steps, _project(level, *(patterns or (csv,)))))

    stub_in_the_way = [
        ["write", "output/t.csv", rows],
        ["mkdir", "output/t.csv.txt"],
        ["write", "output/t.csv.txt/n.csv", rows],
    ]
    yield leaves("a folder where the stub would be", stub_in_the_way, "output/t.csv", "output/t.csv.txt/*.csv")
    yield leaves("a name whose stub no disk holds", [["write", f"output/{'a' * 251}.csv", rows]])
    yield leaves("a long name, highly sensitive", [["write", f"output/{'a' * 250}.csv", rows]], level=highly)
    yield leaves("3 GB without a line break", [["sparse", "output/x.csv", 3 << 30]], level=highly)
    yield leaves("3 GB, moderately sensitive", [["sparse", "output/x.csv", 3 << 30]])
    yield leaves("1 TB", [["sparse", "output/x.csv", 1 << 40]], level=highly)
    yield leaves(
        "two links of holes",
        [["sparse", "output/x.csv", 2 << 30], ["link", "output/x.csv", "output/y.csv"]],
        level=highly,
    )
    yield leaves("20,000 files", [["many", "output", 20_000, ".csv"]])
    yield leaves("a tag that never ends", [["write", "output/x.html", "<a ", 100_000]], "output/*.html")
    yield leaves("comments that never end", [["write", "output/x.svg", "<!--", 75_000]], "output/*.svg")
    yield leaves("brackets", [["write", "output/x.json", "[", 300_000]], "output/*.json")
    yield leaves("16 MiB of line breaks", [["write", "output/x.csv", "\n", 16 << 20]])
    yield leaves("16 MiB of quotation marks", [["write", "output/x.csv", '"', 16 << 20]])
    yield leaves("a log of no text", [["log", "\xff" * 65535 + "\n", 1_200], ["write", "output/x.csv", rows]])
    yield leaves("an unreadable file", [["write", "output/x.csv", rows], ["chmod", "output/x.csv", 0]])
    yield leaves(
        "a folder nobody may enter",
        [["mkdir", "output/s"], ["write", "output/s/x.csv", rows], ["chmod", "output/s", 0]],
    )
    yield leaves("a tree too deep", [["deep", "output/deep", 1_500], ["write", "output/x.csv", rows]])
    merge = projects.merges(13, 10).encode()
    yield Attack("merge keys", _study({"project.yaml": merge, "recipe.json": b"[]", "vandal.py": VANDAL}))
    yield Attack("project.yaml is a link", _linked_project)
    yield Attack("a tree bomb", _tree_bomb)
    for key, number in (("timeout", "99999999h"), ("memory", "1" + "0" * 30), ("cpus", "1e308")):
        text = projects.HEAD + projects.ACTION + f"    resources: {{{key}: {number}}}\n"
        files = {"project.yaml": text.encode(), "recipe.json": b'[["write", "output/x.csv", "a"]]', "vandal.py": VANDAL}
        yield Attack(f"{key} without bound", _study(files))
    reserved = _project(highly, ".staging/t.csv")
    yield Attack(
        "outputs among Carrel's own files",
        from_recipe([["mkdir", ".staging"], ["write", ".staging/t.csv", rows]], reserved),
    )


def attack(seed: int, number: int) -> Attack:
    """The attack of this number; the same each time."""
    rng = random.Random(f"{seed}/{number}")
    cancelled = rng.choice((*[None] * 9, 1, 3, 10))
    kind = rng.choices(("outputs", "texts", "repository", "project"), (5, 3, 2, 2))[0]
    name = f"{kind} {seed}/{number}"
    if kind == "outputs":
        return Attack(name, from_recipe(outputs.recipe(rng), project_of(rng, rng.choice((1, 1, 2)))), cancelled)
    if kind == "texts":
        texts = [step for _ in range(rng.randrange(1, 9)) for step in outputs.steps_of_text(rng)]
        steps = outputs.sound_steps() + texts
        return Attack(name, from_recipe(steps, project_of(rng)), cancelled)
    recipe_bytes = json.dumps(outputs.recipe(rng)[:6]).encode()
    if kind == "project":
        files = {"project.yaml": projects.hostile_project(rng), "recipe.json": recipe_bytes, "vandal.py": VANDAL}
        return Attack(name, _study(files), cancelled)
    project = project_of(rng)

    def commit(folder: Path) -> str:
        objects, study = _files(folder, {"project.yaml": project, "recipe.json": recipe_bytes, "vandal.py": VANDAL})
        return objects.commit(hostile_tree(rng, objects, study))

    return Attack(name, commit, cancelled)
