"""Globs over paths: what they match, and that no pattern is slow."""

import itertools
import re
import time

import pytest

from metaeval_datasets.sources.layout import matching
from metaeval_datasets.sources.patterns import MAX_PATTERN, Pattern


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a/b.csv", "a/b.csv", True),
        ("./a/b.csv", "a/b.csv", True),
        ("a/*.csv", "a/b.csv", True),
        ("*.csv", "a/b.csv", False),  # * stays within a folder
        ("**.csv", "a/b.csv", True),
        ("**/b.csv", "b.csv", True),  # no folder is a folder, too
        ("**/b.csv", "x/y/b.csv", True),
        ("**/b.csv", "xb.csv", False),
        ("**/", "", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[!a]b", "cb", True),
        ("[!a]b", "ab", False),
        ("[a-c]*", "bx", True),
        ("[c-a]", "b", False),  # a range that runs backwards matches nothing
        ("[", "[", True),
        ("a+b", "aab", False),  # no regular expression
        ("", "", True),
        ("*" * (MAX_PATTERN + 1), "a", False),
    ],
)
def test_what_a_pattern_matches(pattern, path, expected):
    rule = Pattern(pattern)
    assert (path == rule.literal if rule.literal is not None else rule.matches(path)) is expected


@pytest.mark.parametrize("pattern", ["*a" * 40 + "*b", "**/" * 300 + "*b", "*" * 900 + "/b", "**a**" * 100 + "b"])
def test_no_pattern_is_slow(pattern):
    started = time.process_time()
    assert not Pattern(pattern).matches("a" * 2_000 + "b/c")
    Pattern(pattern).matches("a" * 1_000 + "/" + "a" * 1_000 + "bb")
    assert time.process_time() - started < 2


def test_many_patterns_over_many_files_are_as_if_they_were_not_there():
    files = [f"{number:0200}.csv" for number in range(1_000)]
    assert matching(files, [f"**/{number:0200}.csv" for number in range(10)]) == tuple(files[:10])
    assert matching(files, [f"**/{number:0200}.csv" for number in range(1_000)]) == ()
    assert matching(files, files) == tuple(files)  # paths without wildcards cost nothing


def test_patterns_agree_with_regular_expressions():
    """All patterns of three pieces on short paths, against their translation."""
    meaning = {"a": "a", "/": "/", "*": "[^/]*", "**": ".*", "**/": "(?:.*/)?", "?": "[^/]", "[!a]": "[^a]"}
    paths = ["", *"ab/", "aa", "ab", "a/", "/a", "a/a", "a/b", "aab", "a/ab", "b/a/a"]
    for pieces in itertools.product(meaning, repeat=3):
        text = "".join(pieces)
        if re.findall(r"\*\*/|\*\*|\*|\?|\[!a\]|.", text) != list(pieces):
            continue  # pieces that run together mean something else
        rule = Pattern(text)
        translated = re.compile("".join(meaning[piece] for piece in pieces))
        for path in paths:
            found = path == rule.literal if rule.literal is not None else rule.matches(path)
            assert found is bool(translated.fullmatch(path)), (text, path)
