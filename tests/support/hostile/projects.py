"""Project files that cost their readers memory, time or their composure."""

import random

HEAD = "version: '5'\nactions:\n"
ACTION = "  a:\n    run: python:v2 python vandal.py\n    outputs: {highly_sensitive: {t: output/*.csv}}\n"
NUMBERS = (
    "99999999h",
    "1e308",
    "-1",
    "0",
    ".inf",
    ".nan",
    "9" * 400,
    "0x7fffffffffffffff",
    "1" + "0" * 30,
    "'1'",
    "[]",
    "1d" * 50,
)
KEYS = ("cpus", "memory", "timeout", "population_size", "needs", "config", "dummy_data_file")
WORDS = (
    "*",
    "**",
    "a" * 70_000,
    "\\0",
    "é",
    "../x",
    "/etc/passwd",
    ".git/x.csv",
    ".staging/x.csv",
    "metadata/x.csv",
    "$HOME",
)


def merges(levels: int, width: int) -> str:
    lines = ["    config:", "      a0: &a0 {k: 1}"]
    for n in range(1, levels):
        lines.append(f"      a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * width)}]}}")
    return HEAD + ACTION + "\n".join(lines) + "\n"


def aliases(levels: int, width: int) -> str:
    lines = ["    config:", "      a0: &a0 [x]"]
    for n in range(1, levels):
        lines.append(f"      a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]")
    return HEAD + ACTION + "\n".join(lines) + "\n"


def many_actions(count: int, needs: int) -> str:
    text = HEAD
    for n in range(count):
        before = ", ".join(f"a{n - k}" for k in range(1, needs + 1) if n >= k)
        outputs = f"outputs: {{highly_sensitive: {{t: output/{n}.csv}}}}"
        text += f"  a{n}: {{run: python:v2 python vandal.py {n}, needs: [{before}], {outputs}}}\n"
    return text


def hostile_project(rng: random.Random) -> bytes:
    kind = rng.randrange(10)
    if kind == 0:
        return merges(rng.choice((3, 8, 14)), rng.choice((2, 10))).encode()
    if kind == 1:
        return aliases(rng.choice((3, 8, 14)), rng.choice((2, 10))).encode()
    if kind == 2:
        return (HEAD + ACTION + "    config: " + "[" * rng.choice((90, 200, 100_000)) + "\n").encode()
    if kind == 3:
        return (HEAD + ACTION + f"    resources: {{{rng.choice(KEYS[:3])}: {rng.choice(NUMBERS)}}}\n").encode()
    if kind == 4:
        return (HEAD + ACTION + f"    {rng.choice(KEYS)}: {rng.choice(NUMBERS + WORDS)}\n").encode()
    if kind == 5:
        word = rng.choice(WORDS)
        return (HEAD + ACTION.replace("output/*.csv", f"'{word}'")).encode()
    if kind == 6:
        return (
            HEAD + ACTION.replace("vandal.py", "vandal.py " + rng.choice(("x" * 140_000, "y " * 40_000, "'", "\\0")))
        ).encode()
    if kind == 7:
        return many_actions(rng.choice((3, 400)), rng.choice((0, 1, 20))).encode()
    if kind == 8:
        return bytes(rng.randrange(256) for _ in range(rng.choice((1, 300, 5_000))))
    text = HEAD + ACTION
    cut = rng.randrange(len(text))
    return (
        text[:cut]
        + rng.choice(("\0", "\t", "&a *a", "!!python/object:os.system", "%", "\ufeff", "<<: ", "? ", "---\n"))
        + text[cut:]
    ).encode()
