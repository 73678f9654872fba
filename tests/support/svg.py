"""SVG that pages hold, parsed: so that a test sees that it is well-formed, and what is in it."""

from xml.etree import ElementTree


def parsed(html: str) -> ElementTree.Element:
    """Parse what a chart returned, several elements in a row too. Raises ParseError where it is not well-formed."""
    return ElementTree.fromstring(f"<body>{html}</body>")


def elements(html: str, name: str, css_class: str = "") -> list[ElementTree.Element]:
    """All elements of a name, those of a class only where one is given."""
    return [
        element for element in parsed(html).iter(name) if not css_class or css_class in element.get("class", "").split()
    ]


def texts(html: str, name: str) -> list[str]:
    return ["".join(element.itertext()) for element in parsed(html).iter(name)]
