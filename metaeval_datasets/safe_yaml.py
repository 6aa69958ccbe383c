"""Load YAML that others wrote: a few lines of it cannot take all memory or time, and no code runs.

The limits are checked on the stream of events, before any object is built. Aliases are refused, because with them a few
lines expand to billions of objects.
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_NODES = 100_000
MAX_DEPTH = 32

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL, _TIMESTAMP = "tag:yaml.org,2002:null", "tag:yaml.org,2002:timestamp"
_RULES = yaml.SafeLoader.yaml_implicit_resolvers


class _Loader(_Base):  # type: ignore[misc]
    """Load YAML without dates, since an invalid date would be an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
        first: [(tag, rule) for tag, rule in rules if tag != _TIMESTAMP] for first, rules in _RULES.items()
    }


class _TextLoader(_Base):  # type: ignore[misc]
    """Load every value without quotes as text, except null: a class called ``no`` or ``1`` stays a text.

    A key that occurs twice in a mapping is an error.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
        first: [(tag, rule) for tag, rule in rules if tag == _NULL] for first, rules in _RULES.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return a mapping after checking that each key occurs once."""
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} occurs twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(text: str, *, as_text: bool = False) -> Any:
    """Return the objects that a YAML text describes.

    Args:
        text: one YAML document.
        as_text: whether values without quotes stay texts, except null: a class called ``no`` or ``1`` is no number.

    Raises:
        ValueError: it has too many nodes or levels, a very long number, or aliases.
        yaml.YAMLError: it is not valid YAML.
    """
    loader = _TextLoader if as_text else _Loader
    depth = nodes = 0
    for event in yaml.parse(text, Loader=loader):
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            mark = event.start_mark
            raise ValueError(
                f"line {mark.line + 1 if mark else 1} has the alias *{event.anchor}; write its value instead"
            )
        if nodes > MAX_NODES or depth > MAX_DEPTH or _is_long_number(event):
            raise ValueError(f"has a very long number, more than {MAX_NODES:,} nodes, or more than {MAX_DEPTH} levels")
    # yaml.safe_load takes no loader. Both loaders extend SafeLoader, which builds plain values and calls nothing.
    return yaml.load(text, Loader=loader)  # noqa: S506


def _is_long_number(event: Any) -> bool:
    """Return whether a scalar could be read as a number of over 1,000 characters; 1:1:1:... takes quadratic time."""
    return isinstance(event, yaml.ScalarEvent) and len(event.value) > 1_000 and event.value[0] in "+-.0123456789"
