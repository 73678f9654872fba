"""SQL cut into tokens, as far as finding statements and column names needs; any of the dialects we meet.

Knows what can hide a semicolon, a comma or a bracket: comments (also nested), strings, quoted names, dollar quotes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from carrel.sqlrunner.errors import QueryError

_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]*)
  | (?P<comment>/\*)
  | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | [nN]?'(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<quoted>"(?:[^"]|"")*" | `[^`]*` | (?<![\w\])])\[[^\W\d][^][,'"]*\])
  | (?P<word>[^\W\d][\w$\#@]* | [@\#]+\w+)
  | (?P<number>\d[\w.]*)
  | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class SqlToken:
    """`kind`: word, quoted (a name in quotes or brackets), string, number or symbol. `depth`: brackets around it."""

    kind: str
    text: str
    depth: int = 0

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, whatever the case."""
        return self.kind == "word" and self.text.upper() in words

    def is_symbol(self, symbol: str) -> bool:
        return self.kind == "symbol" and self.text == symbol

    @property
    def name(self) -> str:
        """The text as a column name: quotes taken off, doubled quotes made single."""
        if self.kind == "quoted" and self.text[0] == '"':
            return self.text[1:-1].replace('""', '"')
        if self.kind == "string" and "'" in self.text:
            return self.text[self.text.index("'") + 1 : -1].replace("''", "'")
        return self.text[1:-1] if self.kind == "quoted" else self.text


def tokens(sql: str) -> Iterator[SqlToken]:
    """Yield all tokens but white space and comments; `QueryError` for a comment or string that does not end."""
    at, depth = 0, 0
    while match := _TOKEN.match(sql, at):
        kind, text, at = match.lastgroup or "", match.group(), match.end()
        kind = "string" if kind == "tag" else kind
        if kind == "comment":
            at = _comment_end(sql, at)
        elif kind != "space":
            if kind == "symbol" and text in "'\"":
                raise QueryError(f"The SQL has a quote ({text}) that is never closed: close it.")
            depth -= text in ")]" and kind == "symbol"
            yield SqlToken(kind, text, depth)
            depth += text in "([" and kind == "symbol"


def statements(sql: str) -> list[list[SqlToken]]:
    """Cut the tokens into statements at semicolons; empty ones are left out."""
    cut: list[list[SqlToken]] = [[]]
    for token in tokens(sql):
        if token.is_symbol(";"):
            cut.append([])
        else:
            cut[-1].append(token)
    return [statement for statement in cut if statement]


def _comment_end(sql: str, at: int) -> int:
    depth = 1
    for edge in _COMMENT_EDGE.finditer(sql, at):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise QueryError("The SQL has a comment that begins with /* and never ends: close it with */.")
