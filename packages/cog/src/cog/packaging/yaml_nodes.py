"""Reading a YAML document node by node, so that every complaint knows its line and a scalar keeps its text."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, TypeVar

import yaml

from cog.errors import CogError

Value = TypeVar("Value")

_TAG_NAMES = {
    "tag:yaml.org,2002:null": "nothing",
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:int": "a whole number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:seq": "a list",
    "tag:yaml.org,2002:map": "a mapping",
}


class ConfigError(CogError):
    """A configuration file that cannot be used.

    Attributes:
        file: The file's name.
        line: Counted from 1; None when the fault has no place.
        key: The dotted key at fault, for example ``build.gpu``; empty for the file as a whole.
        message: What is wrong and what to do, without the place.
    """

    def __init__(self, *, file: str, line: Optional[int], key: str, message: str) -> None:
        self.file = file
        self.line = line
        self.key = key
        self.message = message
        place = f"{file}:{line}" if line is not None else file
        super().__init__(f"{place}: {key + ': ' if key else ''}{message}")


@dataclass(frozen=True)
class YamlNode:
    """One node with its place. The ``as_`` methods give its value or raise `ConfigError`."""

    node: Optional[yaml.Node]
    file: str
    key: str

    def fail(self, message: str) -> ConfigError:
        """An error at this node's place, to be raised."""
        line = self.node.start_mark.line + 1 if self.node is not None else None
        return ConfigError(file=self.file, line=line, key=self.key, message=message)

    def _expected(self, what: str) -> ConfigError:
        return self.fail(f"must be {what}, not {_TAG_NAMES.get(self.node.tag if self.node else '', 'something else')}")

    @property
    def is_null(self) -> bool:
        """Whether nothing, or an explicit null, is written."""
        return self.node is None or self.node.tag == "tag:yaml.org,2002:null"

    def as_text(self) -> str:
        """Text."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:str":
            return str(self.node.value)
        raise self._expected("text")

    def as_written(self) -> str:
        """Text or a number, exactly as written: a bare ``3.10`` stays ``3.10``."""
        tags = ("str", "int", "float")
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag in {f"tag:yaml.org,2002:{tag}" for tag in tags}:
            return str(self.node.value)
        raise self._expected("text or a number")

    def as_flag(self) -> bool:
        """True or false."""
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:bool":
            return str(self.node.value).lower() in {"true", "yes", "on"}
        raise self._expected("true or false")

    def as_whole_number(self, *, minimum: int) -> int:
        """A whole number of at least ``minimum``."""
        if not (isinstance(self.node, yaml.ScalarNode) and self.node.tag == "tag:yaml.org,2002:int"):
            raise self._expected("a whole number")
        value: int = yaml.SafeLoader("").construct_yaml_int(self.node)
        if value < minimum:
            raise self.fail(f"must be at least {minimum}, not {value}")
        return value

    def as_list(self, read: Callable[[YamlNode], Value]) -> Tuple[Value, ...]:
        """A list, each element read by ``read``; empty when null."""
        if self.is_null:
            return ()
        if not isinstance(self.node, yaml.SequenceNode):
            raise self._expected("a list")
        return tuple(read(YamlNode(item, self.file, f"{self.key}[{index}]")) for index, item in enumerate(self.node.value))

    def as_mapping(self, keys: Iterable[str]) -> Mapping[str, YamlNode]:
        """A mapping with some of the keys; a key that is not among them is an error with a suggestion. Empty when null."""
        if self.is_null:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self._expected("a mapping of keys to values")
        known = list(keys)
        found: Dict[str, YamlNode] = {}
        for key_node, value_node in self.node.value:
            name = str(key_node.value)
            here = YamlNode(key_node, self.file, f"{self.key}.{name}" if self.key else name)
            if name not in known:
                raise here.fail(f"unknown key{_suggest(name, known)}")
            if name in found:
                raise here.fail("written twice; keep one")
            found[name] = YamlNode(value_node, self.file, here.key)
        return found

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.node, yaml.MappingNode)


def _suggest(name: str, known: List[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(sorted(known))}"


def parse_document(text: str, file: str) -> YamlNode:
    """The root of a YAML text; an empty text is an empty root.

    Raises:
        ConfigError: If it is not YAML.
    """
    try:
        return YamlNode(yaml.compose(text, Loader=yaml.SafeLoader), file, "")
    except RecursionError:
        raise ConfigError(file=file, line=None, key="", message="is nested too deeply") from None
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "cannot be read"
        line = mark.line + 1 if mark is not None else None
        raise ConfigError(file=file, line=line, key="", message=f"not valid YAML: {problem}") from error
