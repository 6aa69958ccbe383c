"""Check the line of a requirements.txt that installs metaeval, before a model is loaded."""

from __future__ import annotations

import re

from metaeval_hub.safe_files.printable import CONTROL, shown

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9][A-Za-z0-9.*+!_-]*"
_VERSIONS = rf"{_VERSION}(?:\s*,\s*{_VERSION})*"
_URL = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s;,]+"
_MARKER = r"""[\w\s.<>=!~()'"-]+"""
# A requirement as in PEP 508. It is checked here because metaeval does not depend on the library packaging.
_REQUIREMENT = re.compile(
    rf"metaeval\s*(?:\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\]\s*)?"
    rf"(?:(?:{_VERSIONS}|\(\s*{_VERSIONS}\s*\))?(?:\s*;{_MARKER})?|@\s*{_URL}(?:\s+;{_MARKER})?)",
    re.IGNORECASE | re.ASCII,
)


def check_requirement(line: str) -> str:
    """Return a requirement without blanks around it.

    Args:
        line: a requirement for metaeval as in PEP 508, such as ``metaeval[models]>=0.1,<0.2``.

    Raises:
        ValueError: it has several lines, is not a requirement, or requires another project.
    """
    found = line.strip()
    if CONTROL.search(line) or not _REQUIREMENT.fullmatch(found):
        raise ValueError(
            f"--metaeval {shown(line)} is not a requirement for metaeval; expected one line as in PEP 508, such as "
            "'metaeval[models]>=0.1' or 'metaeval[models] @ git+https://HOST/ORG/metaeval'"
        )
    return found
