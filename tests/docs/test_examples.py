"""The examples of README and docs do what they show. Their code blocks run page by page, next to one trained model.

A ``pycon`` block is a doctest. A ``console`` block runs, and its output is compared except for measured numbers. A
``python`` or ``bash`` block runs. A block that does not run says so in its title, with one of ``pages.REASONS``. Its
Python must compile, and the real parsers must accept its commands.
"""

import argparse
import doctest
import importlib.util
import logging
import textwrap
import warnings
from contextlib import contextmanager
from unittest import mock

import pytest

from tests.docs.pages import FLAGS, PAGES, REASONS, Block, blocks, commands, console_parts, entry, masked, run, words

RUN = [block for page in PAGES for block in blocks(page) if block.language in ("pycon", "console", "python", "bash")]
ADAPTERS = importlib.util.find_spec("adapters") is not None  # a stack with transformers 5 has none
SKIPPED = [block for block in RUN if block.skipped]
TRAINING = next(
    command for block in RUN if block.page == "README.md" for command in commands(block) if "multitask" in command[0]
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Trains the model of the README once, in a folder of its own; command -> what it printed."""
    with pytest.MonkeyPatch.context() as patch, same_process():
        patch.chdir(tmp_path_factory.mktemp("docs"))
        yield {tuple(TRAINING): run([*TRAINING, "--threads", "1"])}


@contextmanager
def same_process():
    """Put back what a training script sets for a whole process."""
    import datasets
    import torch
    import transformers

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    verbosity, level = transformers.utils.logging.get_verbosity(), logging.getLogger("metaeval_datasets").level
    bars = datasets.are_progress_bars_disabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = fill
    transformers.utils.logging.set_verbosity(verbosity)
    logging.getLogger("metaeval_datasets").setLevel(level)
    (datasets.disable_progress_bars if bars else datasets.enable_progress_bars)()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_code_blocks_do_what_they_show(page, printed):
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.skipped:
            continue
        if not ADAPTERS and any(mark in block.code for mark in ("import adapters", "export_adapter(")):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if block.language == "pycon":
                run_doctest(block, names)
            elif block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.code, block.page, "exec"), names)
            elif block.language == "bash":
                assert commands(block), f"{block}: runs no command; give it a title that says why"
                for command in commands(block):
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
    assert len(SKIPPED) <= 37  # rather run one more than raise this


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


def test_metaeval_train_does_not_replace_the_process_of_the_tests():
    with mock.patch("os.execve") as replaced:
        assert "--max-train-rows" in run(["metaeval", "train", "multitask", "--help"])
    replaced.assert_not_called()


def test_a_wrong_flag_in_a_block_is_found():
    with pytest.raises(SystemExit):
        check_arguments(["metaeval", "tasks", "--no-such-flag"])


def test_code_that_does_not_do_what_it_shows_is_found():
    with pytest.raises(AssertionError, match="Expected"):
        run_doctest(Block("page.md", 1, "pycon", ">>> 1 + 1\n3\n", None), {})
    command, shown = "$ metaeval tasks demo --type grammar", "demo/tense grammar 4 400 1 mit"
    with pytest.raises(AssertionError, match="expected"):
        run_console(Block("page.md", 1, "console", f"{command}\n...{shown}\n...", None), {})


def test_pages_have_no_blocks_of_an_unknown_kind():
    known = {"bash", "bibtex", "console", "json", "pycon", "python", "text", "toml", "yaml"}
    assert {block.language for page in PAGES for block in blocks(page)} <= known


def test_commands_after_quotes_that_span_lines_are_found():
    code = "curl --json '{\n  \"a\": 1}'\nmetaeval tasks demo  # don't stop here\n"
    assert commands(Block("page.md", 1, "bash", code, None)) == [["metaeval", "tasks", "demo"]]
