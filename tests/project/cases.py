"""Files that are refused: each with the rule, the sentence the contract says, and where we point at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    rule: str
    message: str
    at: tuple[int, int]
    """Line and column of the first problem."""
    ours: bool = False
    """Carrel refuses it, and the contract does not (or falls over)."""


def action(body: str, version: str = "5") -> str:
    """A project with one action `a`, whose keys are the lines of `body`; they start in line 4, column 5."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return f"version: {version}\nactions:\n  a:\n{lines}"


def run(command: str, outputs: str = "{highly_sensitive: {x: output/x.csv}}", version: str = "5") -> str:
    return action(f"run: {command}\noutputs: {outputs}", version)


def outputs(section: str, version: str = "5") -> str:
    return action(f"run: python:v2 python a.py\noutputs: {section}", version)


def pattern(text: str, level: str = "highly_sensitive") -> str:
    return outputs(f"{{{level}: {{x: '{text}'}}}}")


def extra(line: str) -> str:
    return outputs("{highly_sensitive: {x: x.csv}}") + f"    {line}\n"


def two(first: str, second: str, version: str = "5") -> str:
    return f"version: {version}\nactions:\n  a: {first}\n  b: {second}\n"


def plain(script: str, rest: str = "", path: str = "") -> str:
    return f"{{run: 'python:v2 {script}', outputs: {{highly_sensitive: {{x: {path or script + '.csv'}}}}}{rest}}}"


_NEEDS_ONE = ", needs: ['1']"
_ACTIONS = f"actions:\n  a: {plain('a')}\n"
_INVALID = "Output path {} is invalid: "

TOP_LEVEL = [
    Case("no version", _ACTIONS, "version-missing", "Project file must have a `version` attribute", (1, 1)),
    Case("null version", "version:\n" + _ACTIONS, "version-missing", "(current latest version is 5)", (1, 9)),
    Case(
        "text version",
        "version: five\n" + _ACTIONS,
        "version-not-a-number",
        "must be a number between 1 and 5",
        (1, 10),
    ),
    Case("list version", "version: [5]\n" + _ACTIONS, "version-not-a-number", "`version` must be a number", (1, 10)),
    Case(
        "huge version",
        f"version: 1{'0' * 400}\n{_ACTIONS}",
        "version-not-a-number",
        "`version` must be a number",
        (1, 10),
    ),
    Case("new version", "version: 6\n" + _ACTIONS, "version-too-new", "The latest version is v5, but got v6", (1, 10)),
    Case("newer", "version: '5.5'\n" + _ACTIONS, "version-too-new", "The latest version is v5, but got v5.5", (1, 10)),
    Case("infinite", "version: .inf\n" + _ACTIONS, "version-too-new", "The latest version is v5", (1, 10)),
    Case("zero", "version: 0\n" + _ACTIONS, "version-unknown", "`version` 0 does not exist", (1, 10), ours=True),
    Case("between", "version: 4.5\n" + _ACTIONS, "version-unknown", "`version` 4.5 does not exist", (1, 10), ours=True),
    Case("nan", "version: .nan\n" + _ACTIONS, "version-unknown", "`version` nan does not exist", (1, 10), ours=True),
    Case("negative", "version: -1\n" + _ACTIONS, "version-unknown", "`version` -1 does", (1, 10), ours=True),
    Case(
        "unknown keys",
        f"version: 5\nacton: 1\nb: 2\n{_ACTIONS}",
        "unexpected-keys",
        "Unexpected parameters (acton, b) in project (did you mean acton: `actions`?)",
        (2, 1),
    ),
    Case("no actions", "version: 5\n", "actions-missing", "Project must include `actions` section", (1, 1)),
    Case(
        "actions list", "version: 5\nactions: []\n", "actions-type", "must be a dictionary of key/value pairs", (2, 10)
    ),
    Case("actions null", "version: 5\nactions:\n", "actions-type", "must be a dictionary of key/value pairs", (2, 9)),
    Case("empty", "# nothing\n", "document", "The project file is empty", (1, 1), ours=True),
    Case("list", "- version: 5\n", "document", "must be a dictionary of key/value pairs", (1, 1), ours=True),
    Case("scalar", "version", "document", "must be a dictionary of key/value pairs", (1, 1), ours=True),
    Case("v3 bare", "version: 3\n" + _ACTIONS, "expectations-missing", "must include `expectations` section", (1, 1)),
    Case(
        "v3 list",
        f"version: 3\n{_ACTIONS}expectations: [1]\n",
        "expectations-type",
        "`expectations` section must be a dictionary",
        (4, 15),
    ),
    Case(
        "v3 no size",
        f"version: 3\n{_ACTIONS}expectations: {{}}\n",
        "population-missing",
        "must include `population_size` section",
        (4, 1),
    ),
    Case(
        "v3 bad size",
        f"version: 3\n{_ACTIONS}expectations: {{population_size: many}}\n",
        "population-not-a-number",
        "Project expectations population size must be a number",
        (4, 33),
    ),
    Case(
        "v3 null size",
        f"version: 3\n{_ACTIONS}expectations:\n  population_size:\n",
        "population-not-a-number",
        "Project expectations population size must be a number",
        (5, 19),
    ),
    Case(
        "v3 more",
        f"version: 3\n{_ACTIONS}expectations: {{population_size: 1, x: 2}}\n",
        "expectations-keys",
        "Unexpected parameters (x)",
        (4, 36),
    ),
    *(
        Case(
            f"v{version} expectations",
            f"version: {version}\nexpectations: {{population_size: 1000}}\n{_ACTIONS}",
            "expectations-unsupported",
            "Project includes `expectations` section, which is not supported in this version",
            (2, 1),
        )
        for version in (4, 5)
    ),
]

ACTIONS = [
    Case(
        "run_all",
        f"version: 5\nactions:\n  run_all: {plain('a')}\n",
        "run-all-reserved",
        "`run_all` is a reserved action name and is not allowed for user-defined actions.",
        (3, 3),
    ),
    Case(
        "action text",
        "version: 5\nactions:\n  a: python:v2\n",
        "action-type",
        "Configuration for action a must be a dictionary of key/value pairs",
        (3, 6),
    ),
    Case("no run", action("outputs: {highly_sensitive: {x: x.csv}}"), "run-missing", "configuration for 'run'", (3, 3)),
    Case(
        "no outputs",
        action("run: python:v2 a"),
        "outputs-missing",
        "Action a must contain a configuration for 'outputs'",
        (3, 3),
    ),
    Case(
        "extra keys",
        extra("need: [b]"),
        "unexpected-keys",
        "Unexpected parameters (need) in action a (did you mean need: `needs`?)",
        (6, 5),
    ),
    Case(
        "outputs text",
        outputs("x.csv"),
        "outputs-type",
        "`outputs` section for action a must be a dictionary of key/value pairs",
        (5, 14),
    ),
    Case("run list", run("[python:v2, a]"), "run-type", "`run` section for action a must be a string", (4, 10)),
    Case("run null", run(""), "run-type", "`run` section for action a must be a string", (4, 9)),
    Case("needs text", extra("needs: b"), "needs-type", "`needs` section for action a must be a list", (6, 12)),
    Case(
        "config list",
        extra("config: [b]"),
        "config-type",
        "`config` section for action a must be a dictionary of key/value pairs",
        (6, 13),
    ),
    Case(
        "dummy number",
        extra("dummy_data_file: 1"),
        "dummy_data_file-type",
        "`dummy_data_file` section for action a must be a string",
        (6, 22),
    ),
    Case(
        "needs with space",
        extra("needs: [b c]"),
        "need-space",
        "`needs` actions should be separated with commas, but a needs `b c`",
        (6, 13),
    ),
    Case("needs a number", extra("needs: [1]"), "need-type", "must be a list of names, but has 1", (6, 13), ours=True),
    Case(
        "needs a long list",
        extra(f"needs: [[{', '.join('abcdefghijklmnop')}]]"),
        "need-type",
        "but has ['a', 'b'",
        (6, 13),
        ours=True,
    ),
    *(
        Case(
            f"name {name}",
            f"version: 5\nactions:\n  {name}: {plain('a')}\n",
            "action-name",
            "may only have letters",
            (3, 3),
            ours=True,
        )
        for name in ("a/../b", ".hidden", "a b", "café", '""', '"a\\nb"', "~user")
    ),
    Case(
        "unknown need",
        extra("needs: [generate]") + f"  generated: {plain('g')}\n",
        "unknown-need",
        "Action `a` references an unknown action in its `needs` list: generate (did you mean `generated`?)",
        (6, 13),
    ),
    Case(
        "need of a number",
        f"version: 5\nactions:\n  1: {plain('one')}\n  b: {plain('b', _NEEDS_ONE)}\n",
        "unknown-need",
        "references an unknown action in its `needs` list: 1 (write 1: in quotes)",
        (4, 76),
    ),
    Case(
        "same name twice",
        f"version: 5\nactions:\n  1: {plain('one')}\n  '1': {plain('b')}\n",
        "action-twice",
        "Action 1 is there twice",
        (4, 3),
        ours=True,
    ),
    Case("self need", extra("needs: [a]"), "self-need", "Action `a` needs itself", (6, 13), ours=True),
    Case(
        "cycle",
        two(plain("a", ", needs: [b]"), plain("b", ", needs: [a]")),
        "cycle",
        "so none can start: a -> b -> a",
        (4, 76),
        ours=True,
    ),
    Case(
        "same run",
        two(plain("a"), plain("a", path="b.csv")),
        "same-run",
        "Action b has the same 'run' command as other actions: a",
        (4, 12),
    ),
    Case(
        "same output",
        two(plain("a", path="x.csv"), plain("b", path="x.csv")),
        "same-output",
        "Output path x.csv is not unique",
        (4, 59),
    ),
    Case(
        "same output in one action",
        outputs("{highly_sensitive: {x: x.csv}, moderately_sensitive: {x: x.csv}}", version="2"),
        "same-output",
        "Output path x.csv is not unique",
        (5, 71),
    ),
]

RUNS = [
    Case("empty run", run("''"), "run-empty", "run must have a value, a has an empty run key", (4, 10)),
    Case("blank run", run("'  '"), "run-empty", "run must have a value, a has an empty run", (4, 10), ours=True),
    Case(
        "argument too long",
        run("python:v2 python " + "x" * 140_000),
        "run-impossible",
        "argument 1 of the command has 140000 bytes, and Linux takes 131071 at most",
        (4, 10),
        ours=True,
    ),
    Case(
        "too many arguments",
        run("python:v2 python" + " x" * 210_000),
        "run-impossible",
        "the command has 210000 arguments, which take 2100015 bytes, and Linux takes 1966080 at most",
        (4, 10),
        ours=True,
    ),
    Case(
        "config too long",
        run("python:v2 python a.py") + "    config: {x: '" + "y" * 140_000 + "'}\n",
        "run-impossible",
        "argument 3 of the command has 1400",
        (4, 10),
        ours=True,
    ),
    Case(
        "NUL in a command",
        run('"python:v2 python a\\0b"'),
        "run-impossible",
        "argument 1 of the command holds a NUL character",
        (4, 10),
        ours=True,
    ),
    Case("quotes", run("python:v2 it's"), "run-quotes", "cannot be split into words: no closing", (4, 10), ours=True),
    *(
        Case(
            f"image {image}",
            run(f"'{image} x'"),
            "run-version",
            "Action command test must have a version specified in the form :vN (e.g. test:v2)",
            (4, 10),
        )
        for image in (
            "test",
            "test:",
            "test:v",
            "test:other",
            "test:vnotdigits",
            "test:v1x1",
            "test:pre",
            "test:v2:v3",
            "test:2",
            "test:v1-post",
            "test:latest2",
            "test:V1",
        )
    ),
    *(
        Case(
            f"cohortextractor v{version}",
            run("cohortextractor:v1 generate_measures", version=version),
            "cohortextractor",
            "Action a uses cohortextractor actions, which are not supported in this version.",
            (4, 10),
        )
        for version in ("4", "5")
    ),
    Case(
        "latest",
        run("python:latest python a.py"),
        "latest",
        "Action a uses `python:latest`, which is not supported. Provide a version e.g. `:v2` instead",
        (4, 10),
    ),
    Case(
        "cohort levels",
        run(
            "cohortextractor:v1 generate_cohort",
            "{highly_sensitive: {x: o/x.csv}, moderately_sensitive: {y: o/y.csv}}",
            "1",
        ),
        "cohort-levels",
        "A `generate_cohort` action must have exactly one output; a had 2",
        (5, 14),
    ),
    Case(
        "cohort folders",
        run("cohortextractor:latest generate_cohort --x y", "{highly_sensitive: {x: o/x.csv, y: p/y.csv}}", "2"),
        "cohort-folders",
        "generate_cohort command should produce output in only one directory, found 2:\n - o/\n - p/",
        (5, 14),
    ),
    *(
        Case(
            f"{image} {level}",
            run(
                f"{image}:v1 {command} d.py --output o/x.csv",
                f"{{highly_sensitive: {{x: o/x.csv}}, {level}: {{y: o/y.csv}}}}",
            ),
            "dataset-level",
            "`a` action uses `generate-dataset` and so all outputs must be labelled `highly_sensitive`",
            (5, 14),
        )
        for image, command, level in (
            ("ehrql", "generate-dataset", "moderately_sensitive"),
            ("databuilder", "generate_dataset", "minimally_sensitive"),
        )
    ),
    *(
        Case(
            f"no output argument: {args}",
            run(f"ehrql:v1 generate-dataset d.py{args}"),
            "dataset-output-missing",
            "does not provide an `--output` argument specifying where the results of `generate-dataset` should be",
            (4, 10),
        )
        for args in ("", " --output", " -- --output output/x.csv", " --outputs output/x.csv")
    ),
    *(
        Case(
            f"--output {spec} for {path}",
            run(f"'ehrql:v1 generate-dataset d.py --output {spec}'", f"{{highly_sensitive: {{x: '{path}'}}}}"),
            "dataset-output-mismatch",
            "output specification must match the `--output` argument in the `run` command\n"
            f" got: {path}\nbut was expecting: {shown}",
            (5, 14),
        )
        for spec, path, shown in (
            ("o/y.csv", "o/x.csv", "o/y.csv"),
            ("./o/x.csv", "o/x.csv", "./o/x.csv"),
            ("o/x.csv", "o/*.csv", "o/x.csv"),
            ("o:csv", "p/x.csv", "o/:csv"),
            ("o/:csv", "o/x.arrow", "o/:csv"),
            ("o/:csv", "o/x.csv.gz", "o/:csv"),
        )
    ),
    Case(
        "the last --output counts",
        run("ehrql:v1 generate-dataset d.py --output output/x.csv --output=output/y.csv"),
        "dataset-output-mismatch",
        "but was expecting: output/y.csv",
        (5, 14),
    ),
]

OUTPUTS = [
    Case(
        "no level",
        outputs("{}"),
        "outputs-empty",
        "must specify at least one output of: highly_sensitive, moderately_sensitive, minimally_sensitive",
        (5, 14),
    ),
    Case(
        "unknown level alone",
        outputs("{moderatly_sensitive: {x: x.csv}}"),
        "outputs-empty",
        "minimally_sensitive (did you mean `moderately_sensitive`?)",
        (5, 14),
    ),
    Case(
        "unknown level besides",
        outputs("{highly_sensitive: {x: x.csv}, secret: {}}"),
        "unexpected-keys",
        "Unexpected parameters (secret) in `outputs` section for action a",
        (5, 45),
    ),
    *(
        Case(
            f"level {text}",
            outputs(f"{{highly_sensitive: {text}}}"),
            "level-type",
            "`highly_sensitive` section for action a must be a dictionary of key/value pairs",
            (5, 33),
        )
        for text in ("x.csv", "[x.csv]")
    ),
    Case(
        "level null",
        outputs("\n  highly_sensitive:"),
        "level-type",
        "`highly_sensitive` section for action a must be a dictionary of key/value pairs",
        (6, 24),
    ),
    Case(
        "pattern list",
        outputs("{highly_sensitive: {x: [x.csv]}}"),
        "output-type",
        "`x` output for action a must be a string",
        (5, 37),
    ),
    Case(
        "name twice",
        outputs("{highly_sensitive: {1: x.csv, '1': y.csv}}"),
        "output-name-twice",
        "Output name 1 of action a is there twice",
        (5, 44),
        ours=True,
    ),
    *(
        Case(f"pattern {text!r}", pattern(text), "output-path", _INVALID.format(text) + fault, (5, 37))
        for text, fault in (
            ("output\\x.csv", "contains back slashes (use forward slashes only)"),
            ("output\\**", "contains back slashes (use forward slashes only)"),
            ("output/**/x.csv", "contains '**' (only the * wildcard character is supported)"),
            ("output/?.csv", "contains '?' (only the * wildcard character is supported)"),
            ("output/[ab].csv", "contains '[' (only the * wildcard character is supported)"),
            ("[**].csv", "contains '**' (only the * wildcard character is supported)"),
            ("", "output paths must have a file type extension at the end"),
            ("output", "output paths must have a file type extension at the end"),
            ("o/*", "output paths must have a file type extension at the end"),
            ("o/foo.*", "output paths must have a file type extension at the end"),
            ("o/*.csv*", "output paths must have a file type extension at the end"),
            ("o/.csv", "output paths must have a file type extension at the end"),
            ("o/x.", "output paths must have a file type extension at the end"),
            ("o.x/y", "output paths must have a file type extension at the end"),
            ("o//x.csv", "is not in standard form (contains double slashes or '..' elements)"),
            ("./x.csv", "is not in standard form (contains double slashes or '..' elements)"),
            ("o/../x.csv", "is not in standard form (contains double slashes or '..' elements)"),
            ("o/./x.csv", "is not in standard form (contains double slashes or '..' elements)"),
            ("o/x.csv/", "is not in standard form (contains double slashes or '..' elements)"),
            ("metadata/x.csv", "should not include the metadata directory"),
            ("metadata/*/x.csv", "should not include the metadata directory"),
            ("/o/x.csv", "is an absolute path"),
            ("//o/x.csv", "is an absolute path"),
            ("c:/o/x.csv", "is an absolute path"),
        )
    ),
    *(
        Case(
            f"level 4 {text}",
            pattern(text, "moderately_sensitive"),
            "output-path",
            _INVALID.format(text) + f"{text} is not an allowed file type for moderately_sensitive outputs",
            (5, 41),
        )
        for text in (
            "x.CSV",
            "x.csv.gz",
            "x.pdf",
            "x.htm",
            "x.rds",
            "x.docx",
            "x.tsv",
            "x.feather",
            "o/*.c*v",
            "../x.rds",
            "a b.rds",
        )
    ),
    *(
        Case(
            f"outside {text}",
            pattern(text),
            "output-outside",
            f"Output path {text} is invalid: it leaves the workspace",
            (5, 37),
            ours=True,
        )
        for text in ("../x.csv", "../../*/output/*.csv", "~/x.csv", "~root/x.csv")
    ),
]

YAML = [
    Case(
        "duplicate key",
        "version: 5\nactions: {}\nversion: 2\n",
        "yaml",
        'found duplicate key "version" with value "2"',
        (3, 1),
    ),
    Case(
        "duplicate action",
        f"version: 5\nactions:\n  a: {plain('a')}\n  a: {plain('b')}\n",
        "yaml",
        'found duplicate key "a" with value "{',
        (4, 3),
    ),
    Case("syntax", "version: 5\nactions: [\n", "yaml", "did not find expected node content", (3, 1)),
    Case("tab", "version: 5\nactions:\n\ta: 1\n", "yaml", "cannot start any token", (3, 1)),
    Case("two documents", "version: 5\n---\nversion: 5\n", "yaml", "expected a single document", (2, 1)),
    Case("control character", "version: 5\na: \x01\n", "yaml", "control characters are not allowed", (2, 4)),
    Case("unknown tag", "version: !!python/name:os.system 5\n", "yaml", "could not read '5' as", (1, 10)),
    Case("tagged mapping", "version: !thing {a: 1}\n", "yaml", "could not read a value tagged '!thing'", (1, 10)),
    Case("not an int", "version: !!int five\n", "yaml", "could not read 'five' as", (1, 10)),
    Case("undefined alias", "version: *v\n", "yaml", "found undefined alias 'v'", (1, 10)),
    Case("list as a key", "version: 5\n[a, b]: 1\n", "yaml", "found a key that is not a plain value", (2, 1)),
    Case("two merges", "version: 5\na: &a {b: 1}\nc: {<<: *a, <<: *a}\n", "yaml", 'duplicate key "<<"', (3, 13)),
    Case("merge of text", "version: 5\nactions: {<<: a}\n", "yaml", "expected a mapping or a list of map", (2, 15)),
    Case("alias to itself", "a: &a [*a]\n", "yaml", "inside of what it stands for", (1, 8), ours=True),
    Case("deep", "[" * 5000, "yaml", "nested more than 100 deep", (1, 101), ours=True),
    Case("large", "#" * (1024 * 1024 + 1), "yaml", "the file is larger than 1024 KiB", (1, 1), ours=True),
    Case(
        "laughs",
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
        "yaml",
        "aliases make the file too large",
        (7, 16),
        ours=True,
    ),
    Case(
        "deep by aliases",
        "".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else ''}]\n" for n in range(200)),
        "yaml",
        "aliases make the file too large",
        (100, 12),
        ours=True,
    ),
]

CASES = [*TOP_LEVEL, *ACTIONS, *RUNS, *OUTPUTS, *YAML]
