"""The examples of README and docs do what they show: code blocks are run, in order, each page in one folder of runs.

A ``pycon`` block is a doctest. A ``console`` block is run and its output compared, but for measured numbers. A ``python``
or ``bash`` block is run. A block that is not run says so in its title, with a reason of ``pages.REASONS``; its Python must
compile, and its commands must be ones that the real parsers take.
"""

import argparse
import doctest
import textwrap
import warnings
from pathlib import Path
from unittest import mock

import pytest

from tests.docs.pages import FLAGS, PAGES, REASONS, ROOT, blocks, commands, console_parts, entry, masked, run, words

RUN = [block for page in PAGES for block in blocks(page) if block.language in ("pycon", "console", "python", "bash")]
SKIPPED = [block for block in RUN if block.skipped]
TRAINING = next(
    command for block in RUN if block.page == "README.md" for command in commands(block) if "multitask" in command[0]
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Trains the model of the README once, in a folder of its own; command -> what it printed."""
    import torch

    torch_state = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield {tuple(TRAINING): run([*TRAINING, "--threads", "1"])}
    torch.set_num_threads(torch_state[0])
    torch.use_deterministic_algorithms(torch_state[1])


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_code_blocks_do_what_they_show(page, printed):
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.skipped:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if block.language == "pycon":
                run_doctest(block, names)
            elif block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.code, block.page, "exec"), names)
            elif block.language == "bash":
                assert (shown := commands(block)), f"{block}: runs no command; give it a title that says why"
                for command in shown:
                    run(command)
            elif block.language == "console":
                run_console(block, printed)


def run_doctest(block, names):
    test = doctest.DocTestParser().get_doctest(block.code, names, str(block), block.page, block.line - 1)
    complaints: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=complaints.append, clear_globs=False)
    names.update(test.globs)
    assert not complaints, "".join(complaints)


def run_console(block, printed):
    for line, shown in console_parts(block.code):
        command = words(line)
        assert command, f"{block}: a console block shows metaeval commands and training scripts, not {line!r}"
        got = printed.get(tuple(command)) or printed.setdefault(tuple(command), run(command))
        same = doctest.OutputChecker().check_output(masked(shown), masked(got), FLAGS)
        assert same, f"{block}: {line}\nexpected:\n{textwrap.indent(shown, '  ')}\ngot:\n{textwrap.indent(got, '  ')}"


def test_blocks_that_are_not_run_are_few_and_say_why():
    assert {block.skipped for block in SKIPPED} <= set(REASONS)
    assert len(SKIPPED) <= len(RUN) / 2


@pytest.mark.parametrize("block", SKIPPED, ids=str)
def test_blocks_that_are_not_run_are_still_valid(block):
    if block.language == "python":
        compile(block.code, str(block), "exec")
    for command in commands(block):
        check_arguments(command)


class Parsed(BaseException):
    """Stops a command behind its parser."""


def check_arguments(command):
    """Let the command's own parser read its arguments, and stop there."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop), pytest.raises(Parsed):
        entry(command)


def test_a_wrong_flag_in_a_block_is_found():
    with pytest.raises(SystemExit):
        check_arguments(["metaeval", "tasks", "--no-such-flag"])


def test_code_that_does_not_do_what_it_shows_is_found(tmp_path):
    (page := ROOT / "docs" / "quickstart.md").exists()
    block = next(block for block in blocks(page) if block.language == "pycon")
    wrong = type(block)(block.page, block.line, "pycon", ">>> 1 + 1\n3\n", None)
    with pytest.raises(AssertionError, match="Expected"):
        run_doctest(wrong, {})


def test_pages_have_no_blocks_of_an_unknown_kind():
    known = {"bash", "bibtex", "console", "json", "pycon", "python", "text", "toml", "yaml"}
    assert {block.language for page in PAGES for block in blocks(page)} <= known
    assert all(isinstance(page, Path) for page in PAGES)
