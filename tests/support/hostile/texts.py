"""Texts that readers of HTML, SVG, CSV, JSON and images have stumbled over, and others like them."""

import random

FRAGMENTS = (
    *(
        "<a ",
        "<",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<!",
        "<?",
        "&",
        "&#",
        "&#x110000;",
        "</",
        "<script>",
        "<table><tr>",
    ),
    *(
        "<td>patient_id</td>",
        "<a b='",
        '"',
        "'",
        "='",
        "<svg ",
        "<style>",
        "<textarea>",
        "<!DOCTYPE [",
        "<!ENTITY a '&a;&a;'>",
    ),
    *("[", "{", '{"a":', "]", "}", '"\\u', "\\", "1e999", "NaN,", "null,", '{"patient_id": 1},'),
    *(",", ";", "\t", "|", "\n", "\r", "\r\n", '"a\n', '"",', "patient_id,", "1,", "a,b\n", "\0", " ", "  "),
    *("\xff", "\xfe\xff", "\xef\xbb\xbf", "\xff\xfea\0", "\x80", "\xc3", "\xed\xa0\x80", "\x1b[31m"),
    *(
        "\x89PNG\r\n\x1a\n",
        "\x00\x00\x00\rIHDR",
        "\xff\xff\xff\xffIDAT",
        "\xff\xd8\xff\xe0\xff\xff",
        "\x1f\x8b\x08\x00",
    ),
)
MOST = 16 << 20
"""What a level 4 file may have; texts are made up to it and a little over."""


def hostile_text(rng: random.Random) -> tuple[str, int]:
    """A text (one character a byte) and how often it is repeated."""
    parts = rng.randrange(1, 6)
    text = "".join(rng.choice(FRAGMENTS) * rng.choice((1, 1, 1, 3, 50)) for _ in range(parts))
    length = rng.choice((1, 100, 5_000, 300_000, 300_000, MOST if rng.random() < 0.1 else 2_000, 70_000))
    return text, max(1, length // len(text))
