"""Recipes of what a job leaves behind: names, links, sizes, trees, modes, logs, ends."""

import random

from tests.support.hostile.texts import hostile_text

Step = list[object]
MIB = 1 << 20

NAMES = (
    *("plain", "t.csv", "nl\nname", "ctl\x1b[31m", "tab\t", "\udcff\udcfe", "bidi\u202egpj", "-rf", "--help", " lead"),
    *(
        "trail ",
        "trail.",
        "zw\u200bsp",
        "nbsp\xa0",
        "semi;rm -rf .",
        "$(id)",
        "`id`",
        "CON",
        "..",
        "...",
        "~",
        "*",
        "?",
    ),
    *("[a]", "{}", "a\\b", "é", "e\u0301", "T", "t", "metadata", ".git", ".staging", ".carrel", "manifest.json"),
    *(
        "\x7f",
        "\udc80" * 3,
        "名前" * 10,
        "'\"",
        "a" * 200,
        "a" * 236,
        "é" * 118,
        "a" * 247,
        "a" * 250,
        "a" * 251,
        "\u2028",
    ),
)
SUFFIXES = (".csv", ".txt", ".html", ".svg", ".json", ".md", ".png", ".log", ".csv.txt", ".svgz", ".bin", "")
SIZES = (0, 1, 4096, 5 * MIB, 16 * MIB, 16 * MIB + 1, 300 * MIB, 3072 * MIB, 1 << 40, (1 << 62))
TARGETS = (
    "/etc/passwd",
    "/proc/self/environ",
    "/",
    "..",
    ".",
    "self",
    "../../../../etc/shadow",
    "metadata",
    "a" * 4000,
)


def hostile_name(rng: random.Random) -> str:
    stem = rng.choice(NAMES) if rng.random() < 0.8 else "".join(chr(rng.randrange(1, 0x3000)) for _ in range(9))
    return stem.replace("/", "") + rng.choice(SUFFIXES)


def hostile_path(rng: random.Random) -> str:
    folder = rng.choice(("output", "output", "output", "output/sub", "output/t.csv.txt", "metadata", "."))
    return f"{folder}/{hostile_name(rng)}"


def sound_steps() -> list[Step]:
    """A file for each pattern there may be, so that the rest is published with it."""
    return [
        ["mkdir", "output/sound"],
        *(["write", f"output/sound{suffix}", "a,b\n1,2\n"] for suffix in (".csv", ".txt", ".html", ".json", ".svg")),
        ["write", "output/sound/sound.csv", "a,b\n1,2\n"],
    ]


def steps_of_output(rng: random.Random) -> list[Step]:
    """One thing left behind."""
    path = hostile_path(rng)
    kind = rng.randrange(12)
    if kind <= 3:
        text, times = hostile_text(rng)
        return [["mkdir", path.rpartition("/")[0]], ["write", path, text, times]]
    if kind == 4:
        return [["sparse", path, rng.choice(SIZES)]]
    if kind == 5:
        return [["symlink", rng.choice(TARGETS), path]]
    if kind == 6:
        other = hostile_path(rng)
        return [["sparse", other, rng.choice(SIZES)], ["link", other, path]]
    if kind == 7:
        return [[rng.choice(("fifo", "device", "socket", "mkdir")), path]]
    if kind == 8:
        return [["write", path, "a,b\n1,2\n"], ["chmod", path, rng.choice((0, 0o111, 0o200, 0o4777))]]
    if kind == 9:
        return [
            ["mkdir", path],
            ["write", f"{path}/n.csv", "a,b\n1,2\n"],
            ["chmod", path, rng.choice((0, 0o500, 0o755))],
        ]
    if kind == 10:
        return [["write", path, "a,b\n1,2\n"], ["times", path, rng.choice((0, -1, 1, 4102444800, (1 << 34)))]]
    return [["write", path, "a,b\n1,2\n"], ["write", f"{path}.txt", "a,b\n"], ["mkdir", f"{path}.txt.txt"]]


def steps_of_text(rng: random.Random) -> list[Step]:
    """A file that the level 4 gate and every reader of tables has to look into."""
    text, times = hostile_text(rng)
    return [["write", f"output/f{rng.randrange(1000)}{rng.choice(SUFFIXES)}", text, times]]


def heavy_step(rng: random.Random) -> list[Step]:
    """Something of which one is enough."""
    kind = rng.randrange(7)
    if kind == 0:
        return [["deep", "output/deep", rng.choice((30, 70, 300, 1500))]]
    if kind == 1:
        return [["many", "output/many", rng.choice((100, 2_000, 20_000)), rng.choice((".csv", ".bin"))]]
    if kind == 2:
        text = rng.choice(
            ("\xff" * 4095 + "\n", "patient_id,age\n1001,34\n" * 100, "x" * 65536, "\x1b[2J\r", "\0" * 4096)
        )
        return [["log", text, rng.choice((1, 10, 3000))]]
    if kind == 3:
        return [["daemon"]]
    if kind == 4:
        return [["swap", "output/t.csv"]]
    if kind == 5:
        return [["close"]]
    return [["rename", "output", "gone"]] if rng.random() < 0.3 else [["chmod", rng.choice((".", "output")), 0o500]]


def end_step(rng: random.Random) -> list[Step]:
    kind = rng.randrange(8)
    if kind == 0:
        return [["exit", rng.choice((1, 2, 126, 127, 137, 255))]]
    if kind == 1:
        return [["kill", rng.choice((9, 11, 15, 19, 6, 31))]]
    return []


def recipe(rng: random.Random) -> list[Step]:
    """Some dozens of things left behind."""
    steps = sound_steps() if rng.random() < 0.8 else []
    steps += [step for _ in range(rng.randrange(1, 50)) for step in steps_of_output(rng)]
    if rng.random() < 0.5:
        steps += heavy_step(rng)
    return steps + end_step(rng)
