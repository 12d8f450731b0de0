"""Makes plain text of the markup in which Nexpose writes proof, descriptions and solutions.

Paragraphs are set apart by an empty line, items of lists begin with a dash or their number, links have their address
behind them.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element

_LISTS = frozenset({"UnorderedList", "OrderedList"})
_INDENT = "  "


def plain_text(element: Element | None) -> str:
    """The text in an element, whose own name does not matter."""
    blocks: list[str] = []
    if element is not None:
        _add(blocks, element, "", "")
    return "".join(blocks).lstrip("\n")


def _add(blocks: list[str], element: Element, first: str, rest: str) -> str:
    """Add the blocks inside an element: `first` stands before the first of them, `rest` before others and their lines.

    Gives what stands before the next.
    """
    is_as_it_stands = element.get("preformat") == "true"
    words = element.text or ""
    for child in element:
        if child.tag == "URLLink":
            words += _link(child)
        else:
            first = _add_block(blocks, words, is_as_it_stands, first, rest)
            if child.tag in _LISTS:
                _add_items(blocks, child, rest)
            else:
                first = _add(blocks, child, first, rest)
            words = ""
        words += child.tail or ""
    return _add_block(blocks, words, is_as_it_stands, first, rest)


def _add_block(blocks: list[str], words: str, is_as_it_stands: bool, first: str, rest: str) -> str:
    if not words or words.isspace():
        return first
    text = words.strip("\n").rstrip().replace("\n", f"\n{rest}") if is_as_it_stands else " ".join(words.split())
    blocks += "\n" if rest else "\n\n", first, text
    return rest


def _add_items(blocks: list[str], listed: Element, rest: str) -> None:
    is_numbered = listed.tag == "OrderedList"
    for number, item in enumerate(listed, 1):
        _add(blocks, item, f"{rest}{number}. " if is_numbered else f"{rest}- ", rest + _INDENT)


def _link(link: Element) -> str:
    address = link.get("LinkURL") or link.get("href") or ""
    text = " ".join("".join(link.itertext()).split()) or link.get("LinkTitle", "")
    return f" {text} ({address}) " if text and address and text != address else f" {text or address} "
