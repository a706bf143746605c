"""The YAML that this project reads and writes: the part of YAML 1.1 and 1.2 that both read in the same way.

In: text. Out: mappings, lists, text, numbers, true, false and null, with the line of every field; and such values as
text again. What the two versions read differently is refused with its line and the remedy, because whoever writes `on`,
`1:30`, `010` or a date rarely means what one of them makes of it. The one exception: 1e-4 is a number here.

Bounded: size, depth and number of values, also of those that aliases repeat. Nothing but plain data can be made.
"""

import math
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

Place: TypeAlias = tuple[Hashable, ...]

MAX_CHARACTERS = 1024**2
MAX_DEPTH = 40
MAX_VALUES = 50_000
# Each process of the pipeline reads every experiment, with libyaml, where PyYAML has it, in a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_MERGE = "<<"
_MAX_DIGITS = 100

_NULL = ("", "~", "null", "Null", "NULL")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# What one version of YAML, or one of its programs, reads as something else than the other: form, what it may be.
_AMBIGUOUS = (
    (re.compile(r"(yes|no|on|off)", re.IGNORECASE), "true or false, or text", "write true or false"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "a number to base 60, or text", "write the number"),
    (re.compile(r"[-+]?0[0-9_]+"), "an octal or a decimal number", "write it without the zero"),
    (re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"), "a number or text", "write it without the zero"),
    (re.compile(r"[-+]?0[oObB][0-7_]+"), "a number or text", "write it as a decimal number"),
    (re.compile(r"[-+]?(0[xX])?[0-9a-fA-F]*_[0-9a-fA-F_]*|[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"),
     "a number or text", "write it without underscores"),
    (re.compile(r"[-+]0x[0-9a-fA-F]+"), "a number or text", "write it as a decimal number"),
    (re.compile(r"\d{4}-\d\d?-\d\d?([Tt \t].*)?"), "a date or text", ""),
    (re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE), "not finite", "write a number"),
)  # fmt: skip


class BadYaml(ValueError):
    """Text that is not read. line: from 1, None: the whole. cause, remedy: for an error in one line."""

    def __init__(self, line: int | None, cause: str, remedy: str = "correct that line") -> None:
        self.line, self.cause, self.remedy = line, cause, remedy
        super().__init__(cause if line is None else f"line {line}: {cause}")


@dataclass(frozen=True)
class Document:
    """What a text holds. lines: path of each field or item -> its line, from 1."""

    values: Any
    lines: Mapping[Place, int]


@dataclass
class _Node:
    """A value with its lines, relative to it, and the number of values in it."""

    value: Any
    lines: dict[Place, int] = field(default_factory=dict)
    count: int = 1
    is_text: bool = False


def read_yaml(text: str) -> Document:
    """The one document in a text; without any its value is None. Raises BadYaml."""
    if len(text) > MAX_CHARACTERS:
        raise BadYaml(None, f"has more than {MAX_CHARACTERS:,} characters", "shorten it")
    try:
        events = yaml.parse(text, Loader=_LOADER)  # lazy: what is too deep or too much is not read to its end
        node = _Reader(events).document()
    except yaml.YAMLError as error:
        raise _syntax_error(error) from error
    return Document(node.value, node.lines)


def write_yaml(values: Mapping[str, Any]) -> str:
    """The text of plain data, which `read_yaml` reads as the same values."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def plain_value(text: str, line: int | None = None) -> str | int | float | bool | None:
    """What an unquoted word means. Raises BadYaml: YAML 1.1 and 1.2 read it differently, or it is not finite."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    first = text[0]
    if first.isalpha() and first not in "yYnNoO":
        return text
    if _INTEGER.fullmatch(text):
        return int(_bounded(text, line), 0 if "x" in text else 10)
    if _FLOAT.fullmatch(text):
        number = float(_bounded(text, line))
        if not math.isfinite(number):
            raise BadYaml(line, f"{text} is not finite", "write a number")
        return number
    for form, meanings, remedy in _AMBIGUOUS:
        if form.fullmatch(text):
            shown = text if len(text) <= _MAX_DIGITS else f"{text[:_MAX_DIGITS]}..."
            quote = f'quote it: "{shown}"'
            raise BadYaml(line, f"{shown} is {meanings}", f"{remedy}, or {quote}" if remedy else quote)
    return text


class _Reader:
    """Builds values from events, one after the other."""

    def __init__(self, events: "Iterator[yaml.Event]") -> None:
        self._events = events
        self._anchors: dict[str, _Node | None] = {}
        self._values = 0

    def document(self) -> _Node:
        """The value of the only document."""
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return _Node(None)
        node = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise BadYaml(_line(more), "begins another document", "leave one document in the file")
        return node

    def _node(self, event: "yaml.Event", depth: int) -> _Node:
        line = _line(event)
        if depth > MAX_DEPTH:
            raise BadYaml(line, f"is nested more than {MAX_DEPTH} deep", "write it flatter")
        if isinstance(event, yaml.AliasEvent):
            node = self._anchors.get(event.anchor or "")
            if node is None:
                raise BadYaml(
                    line, f"*{event.anchor} stands for nothing before it", "name an anchor above it"
                )
            self._counted(node.count, line)
            return node
        anchor: str | None = event.anchor  # type: ignore[attr-defined]
        if anchor is not None:
            self._anchors[anchor] = None  # an alias of itself within
        tag: str | None = event.tag  # type: ignore[attr-defined]
        if tag is not None and not (isinstance(event, yaml.ScalarEvent) and tag in _TEXT_TAGS):
            raise BadYaml(
                line, f"has the tag {tag[:_MAX_DIGITS]}", "leave the tag out: only plain values are read"
            )
        self._counted(1, line)
        if isinstance(event, yaml.ScalarEvent):
            is_text = event.style not in (None, "") or tag is not None
            node = _Node(event.value if is_text else plain_value(event.value, line), is_text=is_text)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(depth)
        else:
            node = self._mapping(depth)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _sequence(self, depth: int) -> _Node:
        whole = _Node([])
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._node(event, depth + 1)
            _add(whole, len(whole.value), _line(event), item)
            whole.value.append(item.value)
        return whole

    def _mapping(self, depth: int) -> _Node:
        whole, merged = _Node({}), _Node({})
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise BadYaml(line, "has a name that is not a word", "name the field by a word")
            name: str = event.value
            key = self._node(event, depth + 1)
            value_event = next(self._events)
            value = self._node(value_event, depth + 1)
            if name == _MERGE and not key.is_text:
                _merge(merged, value, line)
                continue
            if key.value is None:
                raise BadYaml(line, "has a field without a name", "name the field")
            if name in whole.value:
                before = whole.lines[name,]
                raise BadYaml(line, f"{name} is a duplicate of line {before}", "leave one of them out")
            _add(whole, name, line, value)
            whole.value[name] = value.value
        whole.count += merged.count
        inherited = merged.value.keys() - whole.value.keys()
        whole.value |= {name: value for name, value in merged.value.items() if name in inherited}
        whole.lines |= {place: at for place, at in merged.lines.items() if place[0] in inherited}
        return whole

    def _counted(self, count: int, line: int) -> None:
        self._values += count
        if self._values > MAX_VALUES:
            raise BadYaml(line, f"makes more than {MAX_VALUES:,} values, with those of aliases", "shorten it")


def _add(whole: _Node, step: Hashable, line: int, part: _Node) -> None:
    whole.lines[step,] = line
    whole.lines |= {(step, *place): at for place, at in part.lines.items()}
    whole.count += part.count


def _merge(merged: _Node, value: _Node, line: int) -> None:
    sections = value.value if isinstance(value.value, list) else [value.value]
    if not all(isinstance(section, dict) for section in sections):
        raise BadYaml(line, "<< takes the fields of a section, and this is none", "name a section")
    merged.count += value.count
    added: list[set[str]] = []
    for section in sections:
        added.append(section.keys() - merged.value.keys())
        merged.value |= {name: one for name, one in section.items() if name in added[-1]}
    for place, at in value.lines.items():
        number, inner = (place[0], place[1:]) if isinstance(value.value, list) else (0, place)
        if inner and inner[0] in added[number]:  # type: ignore[call-overload]  # an index of a list
            merged.lines[inner] = at


def _bounded(text: str, line: int | None) -> str:
    if len(text) > _MAX_DIGITS:
        raise BadYaml(line, "is a number with too many digits", "shorten it, or quote it")
    return text


def _line(event: "yaml.Event") -> int:
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1


def _syntax_error(error: yaml.YAMLError) -> BadYaml:
    if isinstance(error, yaml.reader.ReaderError):
        return BadYaml(None, "holds a character that YAML does not allow", "remove control characters")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return BadYaml(None, "is not YAML")
    cause = " ".join(str(error.problem).split())
    return BadYaml(error.problem_mark.line + 1, f"is not YAML ({cause[:200]})")


class _Dumper(yaml.SafeDumper):
    """Quotes text that `plain_value` would not read as the same text, and repeats lists instead of naming them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        is_plain = plain_value(text) == text
    except BadYaml:
        is_plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Dumper.add_representer(str, _quoted)
