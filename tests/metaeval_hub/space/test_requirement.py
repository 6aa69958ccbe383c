"""Requirements for metaeval, in one line."""

import pytest

from metaeval_hub.space.requirement import check_requirement

RIGHT = (
    *("metaeval", "MetaEval", "metaeval==0.1.0", "metaeval>=0.1,<0.2", "metaeval (>=0.1)", "metaeval[models]~=0.1"),
    *("metaeval[models, encoder] >= 0.1, != 0.1.3", "metaeval @ https://example.org/metaeval-0.1-py3-none-any.whl"),
    *("metaeval[models] @ git+https://example.org/metaeval@v0.1#subdirectory=a", "metaeval ; python_version >= '3.10'"),
    *(
        "metaeval @ git+https://example.org/metaeval ; python_version >= '3.10'",
        "metaeval==0.1.*",
        "metaeval===1+local",
    ),
)
WRONG = (
    *(
        "",
        "metaeval\ntorch",
        "metaeval\rtorch",
        "nonsense metaeval",
        "-r evil.txt metaeval",
        "metaeval --pre",
        "./metaeval",
    ),
    *("git+https://example.org/metaeval", "metaeval=0.1", "metaeval>=", "metaeval[", "metaeval[]x", "metaeval[models"),
    *(
        "metaeval 0.1",
        "metaeval @",
        "metaeval @ nowhere",
        "metaeval==0.1 torch",
        "metaeval>=0.1,,<1",
        "metaeval # best",
    ),
)


@pytest.mark.parametrize("line", RIGHT)
def test_requirements(line):
    assert check_requirement(f" {line} ") == line


@pytest.mark.parametrize("line", WRONG)
def test_other_lines_are_refused(line):
    with pytest.raises(ValueError, match="is not a requirement for metaeval; expected one line as in PEP 508"):
        check_requirement(line)


@pytest.mark.parametrize("line", ["metaevals", "metaeval-x", "torch", "torch @ https://example.org/metaeval"])
def test_other_projects_are_refused(line):
    with pytest.raises(ValueError, match="is not a requirement for metaeval"):
        check_requirement(line)
