r"""Text from strangers as text that a terminal, a log and a spreadsheet only show.

In: a path, a header value, a key, a manifest's field: any characters. Out: the same text in which every character that
is not shown but acts (moves the cursor, colours, starts a line, reverses the direction of reading) is written out:
`\x1b`, `\n`, `\u202e`.

Errors escape their parts when they are made, logging escapes each record, progress its line. What commands print on
standard output is JSON, which escapes by itself. A spreadsheet runs texts that begin like a formula: `csv_cell`.
"""

import re

# Of the general categories (Unicode 5.22.1): controls, formats (marks of direction among them), lone surrogates,
# separators of lines and paragraphs, private use and unassigned. `str.isprintable` is False for all of them, and for
# blanks other than the space, which are harmless.
_BLANKS = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
_LINE_ENDS = re.compile(r"\r\n?|\n")


def escaped(text: object) -> str:
    """`text` as one line without any character that acts. Escaping it again changes nothing."""
    line = str(text)
    return line if line.isprintable() else "".join(map(_shown, line))


def escaped_lines(text: str) -> str:
    """As `escaped`, but line ends and tabs stay: for text of several lines that this project lays out itself."""
    return "\n".join("\t".join(map(escaped, line.split("\t"))) for line in _LINE_ENDS.split(text))


def escaped_json(line: str) -> str:
    """A line of JSON whose strings hold characters that act: as escapes of JSON, so that its meaning stays."""
    if line.isprintable():
        return line
    return "".join(
        character if character.isprintable() or character in _BLANKS else _json_escape(ord(character))
        for character in line
    )


def csv_cell(value: str | int | float | bool | None) -> str | int | float:
    """A value for CSV: empty for None, yes and no; a text that a spreadsheet would run begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value + 0  # -0.0 would begin with a sign


def _shown(character: str) -> str:
    if character.isprintable() or character in _BLANKS:
        return character
    return character.encode("unicode_escape").decode()


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
