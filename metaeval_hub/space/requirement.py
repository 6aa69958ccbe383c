"""Check the line of a requirements.txt that installs metaeval, before a model is loaded."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement

from metaeval_hub.safe_files.printable import CONTROL, shown


def check_requirement(line: str) -> str:
    """Return a requirement without blanks around it.

    Args:
        line: a requirement for metaeval as in PEP 508, such as ``metaeval[models]>=0.1,<0.2``.

    Raises:
        ValueError: it has several lines, is not a requirement, or requires another project.
    """
    try:
        required = Requirement(line)
    except InvalidRequirement:
        required = None
    # packaging takes any word behind @ as a URL
    is_complete = required is not None and (required.url is None or "://" in required.url)
    if required is None or required.name.lower() != "metaeval" or not is_complete or CONTROL.search(line):
        raise ValueError(
            f"--metaeval {shown(line)} is not a requirement for metaeval; expected one line as in PEP 508, such as "
            "'metaeval[models]>=0.1' or 'metaeval[models] @ git+https://HOST/ORG/metaeval'"
        )
    return line.strip()
