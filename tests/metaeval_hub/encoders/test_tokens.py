"""Texts to tokens: no option of a stored tokenizer, no neighbour and no other thread changes an answer."""

import copy
import json
import pickle
import threading

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import transformers
from transformers import BertTokenizerFast, pipeline

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, UnsafeRepositoryError
from metaeval_hub.encoders.tiny import word_tokenizer
from metaeval_hub.encoders.tokenizer import load_tokenizer
from metaeval_hub.encoders.tokens import TextEncoder, as_texts
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
TEXTS = ["the cat", "a dog ran and the cat sat on the mat and a dog ran and the cat sat on the mat again", "a mat"]
PAIRS = [("the cat", "a dog"), ("a mat", "the dog sat")]
CONFIG = ConditionalConfig(adapter_size=4, dim_z=3, max_length=12)


def make(encoder="tiny", config=CONFIG):
    options = {"vocabulary": TEXTS} if encoder == "tiny" else {}
    model = ConditionalAdapterModel.create(encoder, LABELS, config, **options)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def model():
    return make()


TRANSFORMERS = int(transformers.__version__.partition(".")[0])


def edited(folder, kind="bert", *, pad=True, tokenizer=None, **options):
    """An encoder whose tokenizer's configuration has ``options``, and whose tokenizer.json has ``tokenizer``."""
    tiny_encoder(folder, kind, **({"pad_token_id": 0} if "roberta" in kind else {}))
    for file, change in (("tokenizer_config.json", options), ("tokenizer.json", tokenizer or {})):
        content = json.loads((folder / file).read_text())
        content.update(change)
        if not pad:
            content.pop("pad_token", None)
        (folder / file).write_text(json.dumps(content))
    if not pad:
        (folder / "special_tokens_map.json").unlink(missing_ok=True)  # transformers 5 writes none
    return folder


PADDING = {"strategy": {"Fixed": 60}, "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 3, "pad_type_id": 1,
           "pad_token": "[SEP]"}  # fmt: skip
TRUNCATION = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 1}


@pytest.mark.parametrize(
    "options",
    [
        {"padding_side": "left"},
        {"model_input_names": ["input_ids"]},
        {"model_input_names": ["attention_mask", "token_type_ids", "input_ids"]},
        {"model_max_length": 3},
        {"tokenizer": {"padding": PADDING, "truncation": TRUNCATION}},
    ],
)
def test_options_that_a_tokenizer_was_stored_with_change_no_answer(options, tmp_path):
    plain = tiny_encoder(tmp_path / "plain") and make(tmp_path / "plain")
    if options.get("model_input_names") == ["input_ids"]:
        plain = make(edited(tmp_path / "no-segments", model_input_names=["input_ids", "attention_mask"]))
    model = make(edited(tmp_path / "odd", **options))
    for texts in (TEXTS, PAIRS):
        expected = plain.logits("x/two", texts)
        assert torch.equal(model.logits("x/two", texts), expected)
        alone = torch.cat([model.logits("x/two", [text]) for text in texts])
        torch.testing.assert_close(alone, expected, rtol=1e-5, atol=1e-6)
    classifier = model.for_task("x/two")
    pipe = pipeline("text-classification", model=classifier, tokenizer=classifier.tokenizer, device="cpu")
    found = pipe(TEXTS, truncation=True, padding=True, batch_size=3)
    np.testing.assert_allclose(
        [row["score"] for row in found], plain.predict("x/two", TEXTS).probabilities.max(axis=1), atol=1e-6
    )
    model.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model/tokenizer/tokenizer.json").read_text())["truncation"] is None


def test_the_side_on_which_texts_are_cut_is_followed_by_all(tmp_path):
    model = make(edited(tmp_path / "encoder", truncation_side="left"))
    kept = model.tokenize([TEXTS[1]])["input_ids"][0]
    assert model.tokenizer.convert_ids_to_tokens(kept)[-4:] == ["the", "mat", "[UNK]", "[SEP]"]
    assert kept == model.tokenizer(TEXTS[1], truncation=True)["input_ids"]


def test_a_tokenizer_without_a_padding_token_is_refused_when_it_is_loaded(tmp_path):
    with pytest.raises(UnsafeRepositoryError, match=r'no padding token.*"pad_token" of tokenizer_config'):
        make(edited(tmp_path / "encoder", pad=False))


@pytest.mark.parametrize(("pad", "longest"), [(0, 63), (1, 62), (5, 58)])
def test_positions_of_roberta_start_behind_the_id_of_its_padding_token(pad, longest, tmp_path):
    tiny_encoder(tmp_path, "roberta", pad_token_id=pad)
    long = [" ".join(["cat"] * 100)]
    fits = make(tmp_path, ConditionalConfig(adapter_size=4, max_length=longest))
    assert len(fits.tokenize(long)["input_ids"][0]) == longest
    assert len(fits.predict("x/two", [*long, "a"]).labels) == 2
    with pytest.raises(ValueError, match=f"takes at most {longest} tokens"):
        make(tmp_path, ConditionalConfig(adapter_size=4, max_length=longest + 1))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))
    with pytest.raises(UnsafeRepositoryError, match=r"pad_token_id is null; .* a roberta encoder counts positions"):
        make(tmp_path)


def test_a_tokenizer_is_stored_pickled_and_copied_as_transformers_has_it(tmp_path):
    tiny_encoder(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "BertTokenizer"}))
    tokenizer = load_tokenizer(tmp_path)
    if TRANSFORMERS < 5:  # later releases load every tokenizer.json by one class, which keeps it as it is
        assert isinstance(tokenizer, BertTokenizerFast)
    tokenizer(TEXTS, truncation=True, max_length=3)  # sets how texts are cut, which is not stored
    for again in (pickle.loads(pickle.dumps(tokenizer)), copy.deepcopy(tokenizer)):
        assert again(TEXTS[0]) == tokenizer(TEXTS[0])
    tokenizer.save_pretrained(tmp_path / "again")
    stored = json.loads((tmp_path / "again/tokenizer_config.json").read_text())
    expected = "BertTokenizer" if TRANSFORMERS < 5 else "TokenizersBackend"
    assert stored["tokenizer_class"].removesuffix("Fast") == expected
    assert BertTokenizerFast.from_pretrained(tmp_path / "again")(TEXTS[1]) == tokenizer(TEXTS[1])


# --- texts of every form ---


@pytest.mark.parametrize(
    "form",
    [
        tuple, np.array, lambda texts: np.array(texts, dtype=object), iter, lambda texts: (text for text in texts),
        pd.Series, lambda texts: pd.Series(texts, index=[7, 7, 3]), lambda texts: dict(enumerate(texts)).values(),
        lambda texts: dict.fromkeys(texts).keys(), pa.array,
        lambda texts: datasets.Dataset.from_dict({"sentence": texts})["sentence"],
        lambda texts: datasets.Dataset.from_dict({"sentence": texts}).with_format("numpy")["sentence"],
    ],
)  # fmt: skip
def test_texts_may_come_in_anything_that_has_an_order(form):
    found = as_texts(form(TEXTS))
    assert found == TEXTS
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize(
    "form",
    [
        lambda pairs: [list(pair) for pair in pairs], np.array, pd.Series,
        lambda pairs: zip(*zip(*pairs, strict=True), strict=True), lambda pairs: np.array(pairs, dtype=object),
    ],
)  # fmt: skip
def test_pairs_may_come_in_anything_that_has_an_order(form):
    assert as_texts(form(PAIRS)) == PAIRS


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("a cat", TypeError, r"texts is one string; expected a list of one or more texts, such as \['a cat'\]"),
        (b"a cat", TypeError, "texts is b'a cat'; expected a list"),
        ({"a": "b"}, TypeError, r"texts is {'a': 'b'}; expected a list"),
        ({"a"}, TypeError, r"texts is {'a'}; expected a list"),
        (np.array("a"), TypeError, "expected a list"),
        (3, TypeError, "texts is 3; expected a list"),
        (pd.DataFrame({"sentence": ["a"]}), TypeError, "texts is a DataFrame; expected one of its columns"),
        (datasets.Dataset.from_dict({"x": ["a"]}), TypeError, "texts is a Dataset; expected one of its columns"),
        (["a", None], TypeError, r"texts\[1\] is None; expected"),
        (["a", "b", float("nan")], TypeError, r"texts\[2\] is nan; expected"),
        (["a", pd.NA], TypeError, r"texts\[1\] is <NA>"),
        (["a", b"b"], TypeError, r"texts\[1\] is b'b'"),
        ([("a", None)], TypeError, r"texts\[0\]\[1\] is None; expected a string"),
        ([("a", "b"), "c"], TypeError, r"texts\[1\] is 'c'; expected all texts, or all pairs of texts, as texts\[0\]"),
        ([{"text": "a", "text_pair": "b"}], TypeError, r"texts\[0\] is {'text'"),
        (np.array([["a", "b", "c"]]), TypeError, r"texts\[0\] is array"),
        (["a", "b \ud83d"], ValueError, r"texts\[1\] contains half of a surrogate pair, '\\ud83d' at character 2"),
        ([("a", "\udc00")], ValueError, r"texts\[0\]\[1\] contains half of a surrogate pair"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_by_its_place(texts, error, message):
    with pytest.raises(error, match=message):
        as_texts(texts)


def test_no_text_is_no_question(model):
    assert model.predict("x/two", np.array([], dtype=object)).labels == []
    assert model.predict("x/two", iter(())).probabilities.shape == (0, 2)


def test_one_string_is_no_vocabulary():
    with pytest.raises(TypeError, match=r"vocabulary is one string; expected a list of texts, such as \['a cat'\]"):
        word_tokenizer("a cat")
    with pytest.raises(TypeError, match=r"vocabulary\[1\] is None; expected a string"):
        word_tokenizer(["a cat", None])


# --- threads ---


@pytest.mark.parametrize("kind", ["bert", "modernbert", "deberta-v2"])
def test_sixteen_threads_get_the_answers_of_one(kind, tmp_path):
    tiny_encoder(tmp_path, kind)
    model = make(tmp_path)
    tasks, texts = list(LABELS), [f"the cat sat {'and a dog ran ' * (i % 7)}" for i in range(12)]
    alone = {task: model.predict(task, texts, batch_size=4).probabilities for task in tasks}
    pipes = {}
    for task in tasks:
        classifier = model.for_task(task)
        pipes[task] = pipeline("text-classification", model=classifier, tokenizer=classifier.tokenizer, device="cpu")
    model.train()  # each call switches to evaluation, and must not switch back under another
    wrong = []

    def scores(task, **options):
        rows = pipes[task](texts, top_k=None, batch_size=4, **options)
        return [[{e["label"]: e["score"] for e in row}[name] for name in LABELS[task]] for row in rows]

    def check(number):
        task = tasks[number // 4 % 2]
        calls = [
            lambda: {task: model.predict(task, texts, batch_size=4).probabilities},
            lambda: {t: p.probabilities for t, p in model.predict_tasks(tasks, texts, batch_size=5).items()},
            lambda: {task: scores(task, truncation=True)},
            lambda: {task: model.predict(task, iter(texts), batch_size=3).probabilities},
        ]
        try:
            for _ in range(3):
                for name, found in calls[number % 4]().items():
                    np.testing.assert_allclose(found, alone[name], atol=1e-5, err_msg=str(number))
        except BaseException as error:  # of a thread, which would end with it
            wrong.append(error)

    threads = [threading.Thread(target=check, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]
    assert model.training


def test_texts_that_are_too_long_are_counted():
    tokenizer = word_tokenizer(TEXTS)
    lengths = [len(ids) for ids in TextEncoder(tokenizer, 1000)(TEXTS)["input_ids"]]
    assert len(set(lengths)) > 1
    for limit in {*lengths, max(lengths) - 1}:
        assert TextEncoder(tokenizer, limit).count_cut(TEXTS) == sum(length > limit for length in lengths)


def test_a_cut_that_another_thread_sets_is_never_taken():
    tokenizer = word_tokenizer(TEXTS)
    encode, wrong = TextEncoder(tokenizer, 5), []

    def check(limit):
        for _ in range(60):
            if limit is None:
                lengths = {len(ids) for ids in encode(TEXTS[1:2] * 20)["input_ids"]}
            else:
                lengths = {len(ids) for ids in tokenizer(TEXTS[1:2] * 20, truncation=True, max_length=limit).input_ids}
            if lengths != {limit or 5}:
                wrong.append((limit, lengths))

    threads = [threading.Thread(target=check, args=(limit,)) for limit in (None, 7, 9, 11, None, 7, 9, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class PanicException(BaseException):
    """As a panic of the Rust library is called."""


@pytest.mark.parametrize("failure", [PanicException("index out of bounds"), Exception("no [UNK] token")])
def test_text_on_which_the_library_fails_is_named_by_its_number(failure, model, monkeypatch):
    library = model._encode_texts._backend

    class Backend:
        def encode_batch(self, texts):
            if "a dog" in texts:
                raise failure
            if "stop" in texts:
                raise KeyboardInterrupt
            return library.encode_batch(texts)

    monkeypatch.setattr(model._encode_texts, "_backend", Backend())
    reason = rf"texts\[2\] is 'a dog', on which the tokenizer fails \({type(failure).__name__}: "
    with pytest.raises(ValueError, match=reason):
        model.predict("x/two", ["the cat", "a mat", "a dog", "a mat"])
    with pytest.raises(KeyboardInterrupt):
        model.predict("x/two", ["the cat", "stop"])
