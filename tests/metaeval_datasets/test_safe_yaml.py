"""YAML of strangers is loaded within limits, and a task file keeps its values as texts."""

import pytest
import yaml

from metaeval_datasets.safe_yaml import MAX_DEPTH, load_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"line 2 has the alias \*a; write its value instead"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "more than 32 levels"),
        ("a: " + "1:" * 600 + "1", "has a very long number"),
        ("[" + "x," * 100_000 + "x]", "more than 100,000 nodes"),
    ],
)
def test_limits(text, message):
    with pytest.raises(ValueError, match=message):
        load_yaml(text, as_text=True)


def test_values_are_texts_except_null():
    text = "names: [yes, no, 1, 1.50, 2020-01-01, 'null']\nn/a: null\nempty:\n"
    assert load_yaml(text, as_text=True) == {
        "names": ["yes", "no", "1", "1.50", "2020-01-01", "null"],
        "n/a": None,
        "empty": None,
    }


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: {b: 1, b: 2}", "a: !!python/name:os.system x"])
def test_keys_that_occur_twice_and_tags_are_refused(text):
    with pytest.raises(yaml.YAMLError, match=r"occurs twice|could not determine a constructor"):
        load_yaml(text, as_text=True)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("tag", ["object/apply:os.system", "object/new:os.system", "name:os.system", "module:os"])
def test_tags_that_name_code_are_refused(tag, as_text):
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor for the tag"):
        load_yaml(f"!!python/{tag} ['true']", as_text=as_text)
