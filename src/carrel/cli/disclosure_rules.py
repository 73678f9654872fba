"""The tables of docs/reference/disclosure.md, from the rules themselves: `python -m carrel.cli.disclosure_rules`."""

from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.rules import RULES


def tables() -> str:
    """Return the table of the rules and that of the policy's thresholds, as Markdown."""
    rules = [
        f"| `{rule.id}` | {rule.version} | {rule.scope} | {rule.finds} | "
        f"{', '.join(f'`{name}`' for name in rule.thresholds)} | {rule.source} |"
        for rule in RULES
    ]
    defaults = DisclosurePolicy().as_record()
    used_by = {name: [f"`{rule.id}`" for rule in RULES if name in rule.thresholds] for name in defaults}
    thresholds = [f"| `{name}` | `{value}` | {', '.join(used_by[name])} |" for name, value in defaults.items()]
    return "\n".join(
        [
            "| rule | version | looks at | finds | thresholds | source |",
            "|---|---|---|---|---|---|",
            *rules,
            "",
            "| key of `disclosure:` | default | rules |",
            "|---|---|---|",
            *thresholds,
        ]
    )


if __name__ == "__main__":
    print(tables())
