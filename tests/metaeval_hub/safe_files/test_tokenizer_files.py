"""Tokenizers that make texts grow, fail or lead out of the encoder are refused before a model is returned."""

import base64
import json
from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers import AutoTokenizer

from metaeval_hub.encoders import tokenizer_probe
from metaeval_hub.encoders.tiny import word_tokenizer
from metaeval_hub.encoders.tokenizer import fit_tokenizer, load_tokenizer
from metaeval_hub.safe_files.charsmap import charsmap_growth
from metaeval_hub.safe_files.encoder_files import read_tokenizer
from metaeval_hub.safe_files.printable import printable
from metaeval_hub.safe_files.repository import UnsafeRepositoryError
from metaeval_hub.safe_files.tokenizer_files import check_tokenizer_json
from tests.metaeval_hub.usual_tokenizers import NFKC, TEXTS, USUAL, charsmap, usual_tokenizer

SAVED = {kind: json.loads(usual_tokenizer(kind).backend_tokenizer.to_str()) for kind in USUAL}
A, B, CLS = ({"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
             {"SpecialToken": {"id": "[CLS]", "type_id": 0}})  # fmt: skip
E_ACUTE = {"id": 90, "content": "é", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True,
           "special": False}  # fmt: skip
BYTES = {"type": "ByteLevel"}


def part(name, value, kind="bert"):
    return lambda: {**SAVED[kind], name: value}


def model(kind="bert", **values):
    return lambda: {**SAVED[kind], "model": {**SAVED[kind]["model"], **values}}


def row(*normalizers):
    return part("normalizer", {"type": "Sequence", "normalizers": list(normalizers)})


def template(single=(A,), pair=(A, B), ids=(2,)):
    special = {"[CLS]": {"id": "[CLS]", "ids": list(ids), "tokens": ["[CLS]"] * len(ids)}}
    return {"type": "TemplateProcessing", "single": list(single), "pair": list(pair), "special_tokens": special}


def replace(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


def split(pattern):
    return part("pre_tokenizer", {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False})


GROWS, STRINGS = "lets a text grow by more than 256 times", r"is .*(; expected|, not a pattern)"
# name -> (how tokenizer.json is changed, what the error says)
REFUSED = {
    # growth
    "ByteLevel in a row": (row(*[BYTES] * 30), rf"normalizer\.normalizers\[4\] {GROWS}"),
    "ByteLevel as pre-tokenizers": (
        part("pre_tokenizer", {"type": "Sequence", "pretokenizers": [BYTES] * 5}), rf"pretokenizers\[2\] {GROWS}",
    ),
    "ByteLevel in both": (
        lambda: {**row(*[BYTES] * 3)(), "pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTES] * 2}}, GROWS,
    ),
    "NFKD of what NFKC expands": (
        row({"type": "NFKC"}, replace({"String": "e"}, "\ufdfa"), {"type": "NFKD"}), GROWS,
    ),
    "Prepend": (row(*[{"type": "Prepend", "prepend": "aaa"}] * 9), GROWS),
    "Metaspace, which prepends to each piece": (
        part("pre_tokenizer", {"type": "Sequence", "pretokenizers": [
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}] * 5}), GROWS,
    ),
    "an empty pattern, which is everywhere": (row(replace({"String": ""}, "aaa")), "a pattern that is not empty"),
    "sequences in sequences": (
        part("normalizer", json.loads('{"type": "Sequence", "normalizers": [' * 9 + "]}" * 9)), "not nested deep",
    ),
    "map of characters that grows": (
        part("normalizer", {"type": "Precompiled", "precompiled_charsmap": charsmap({"e": "e" * 300})}), GROWS,
    ),
    "prefix": (model(continuing_subword_prefix="#" * 17), r"continuing_subword_prefix .* at most 16 characters"),
    "suffix": (model("roberta", end_of_word_suffix="#" * 10**6), r"end_of_word_suffix .* at most 16 characters"),
    "suffix of a decoder": (part("decoder", {"type": "BPEDecoder", "suffix": "#" * 17}), r"decoder\.suffix"),
    "words of a thousand characters": (model(max_input_chars_per_word=1000), "max_input_chars_per_word is 1000"),
    "pieces that begin with each other": (
        model("xlm-roberta", vocab=[["a" * k, -1.0] for k in range(1, 300)]), r"vocab\[128\] is .* at most 128",
    ),
    # templates
    "a text many times": (part("post_processor", template([A] * 64)), r"single contains the texts .* \['A'\] once"),
    "the other text": (part("post_processor", template([B])), r"single contains the texts \['B'\]"),
    "no text": (part("post_processor", template([])), r"single contains the texts \[\]"),
    "a pair of one": (part("post_processor", template(pair=[A, A])), r"pair contains the texts \['A', 'A'\]"),
    "a text of another name": (
        part("post_processor", template([{"Sequence": {"id": "C", "type_id": 0}}])), r"Sequence\.id is 'C'",
    ),
    "more tokens than a text has": (part("post_processor", template([CLS] * 9 + [A], ids=(2, 2))), "adds 18 tokens"),
    "a token that is not there": (
        part("post_processor", {**template([CLS, A]), "special_tokens": {}}), r"single\[0\] is '\[CLS\]'; expected one",
    ),
    "templates in a row": (
        part("post_processor", {"type": "Sequence", "processors": [template()] * 2}), r"\[1\] is the second that adds",
    ),
    "ids that are text": (part("post_processor", template(ids=["2"])), r"ids is \['2'\]; expected 1 to 16 token ids"),
    "a separator that is text": (
        part("post_processor", {"type": "BertProcessing", "sep": "[SEP]", "cls": ["[CLS]", 2]}), "a token and its id",
    ),
    # maps of characters
    "map that leads out of its strings": (
        part("normalizer", {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(
            (1024).to_bytes(4, "little") + b"".join((1 << 8 | c).to_bytes(4, "little") for c in range(256)) + b"a\0"
        ).decode()}), "leads out of its trie or strings",
    ),
    "map that is cut off": (
        part("normalizer", {"type": "Precompiled", "precompiled_charsmap": NFKC[:400]}), "announces a trie of",
    ),
    "map that is a list": (part("normalizer", {"type": "Precompiled", "precompiled_charsmap": [1]}), STRINGS),
    # the model
    "unknown token that is not there": (model(unk_token="nope"), r"unk_token is 'nope'; expected a token of the voc"),
    "no unknown token": (model(unk_token=None), r"unk_token is None"),
    "no unknown piece": (model("xlm-roberta", unk_id=None), r"unk_id is None"),
    "unknown piece beyond them": (model("xlm-roberta", unk_id=10**5), r"unk_id is 100000; expected the place of a"),
    "no pieces": (model("xlm-roberta", vocab=[]), "is not a list of 1 to"),
    "dropout": (model("roberta", dropout=0.5), r"dropout is 0\.5; expected none"),
    "no model": (part("model", None), "model is None; expected an object"),
    # lists, tables and nulls in place of strings
    **{
        f"{key} that is {value!r}": (change(value), STRINGS)
        for value in ([], ["Replace"], {}, {"a": 1}, None, 3)
        for key, change in {
            "type": lambda value: part("normalizer", {"type": value}),
            "type of a model": lambda value: model(type=value if value is not None else 3),
            "pattern": lambda value: row(replace(value, "b")),
            "regular expression": lambda value: split({"Regex": value}),
            "string": lambda value: split({"String": value}),
            "content": lambda value: row(replace({"String": "a"}, value)),
            "behaviour": lambda value: part("pre_tokenizer", {"type": "Punctuation", "behavior": value}),
            "prefix": lambda value: model(continuing_subword_prefix=value),
            "name of a text": lambda value: part("post_processor", template([{"Sequence": {"id": value}}])),
            "name of a token": lambda value: part("post_processor", template([{"SpecialToken": {"id": value}}, A])),
            "piece": lambda value: part("post_processor", template([value])),
            "added token": lambda value: part("added_tokens", [value]),
        }.items()
    },
    "options that are not known": (part("normalizer", {"type": "NFC", "script": "x"}), "unknown key 'script'"),
    "nested without end": (
        part("normalizer", {"type": json.loads("[" * 900 + "]" * 900)}), r"normalizer\.type is \[\[\[\[",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_part_is_refused_by_its_place(name):
    change, reason = REFUSED[name]
    with pytest.raises(UnsafeRepositoryError, match=rf"^tokenizer\.json: .*{reason}") as caught:
        check_tokenizer_json(change())
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@pytest.mark.skipif(
    transformers.__version__ >= "5", reason="the classes of transformers 5 do not use the whole tokenizer.json"
)
@pytest.mark.parametrize("kind", USUAL)
def test_usual_tokenizer_is_loaded_as_transformers_loads_it(kind, tmp_path):
    usual_tokenizer(kind).save_pretrained(tmp_path)
    loaded, stock = load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    texts = [*TEXTS, "\ufb01ne   A\u00a0b \ufdfa"]
    assert type(loaded) is type(stock)
    assert (
        loaded(texts, texts, max_length=30, truncation=True).data
        == stock(texts, texts, max_length=30, truncation=True).data
    )


@pytest.mark.parametrize("kind", USUAL)
def test_model_of_an_old_file_has_no_type(kind):
    assert check_tokenizer_json({**SAVED[kind], "model": {**SAVED[kind]["model"], "type": None}}) < 50


def test_growth_of_maps_of_characters():
    assert charsmap_growth(NFKC, "x") == 11.0  # U+FDFA: 33 bytes for 3
    assert charsmap_growth(charsmap({"abc": "d", "ab": "0123456789"}), "x") == 5.0


def save(tmp_path, kind="bert", change=None, **files):
    tokenizer = usual_tokenizer(kind)
    tokenizer.save_pretrained(tmp_path)
    if change is not None:
        (tmp_path / "tokenizer.json").write_text(json.dumps(change()))
    for name, change in files.items():
        path = tmp_path / f"{name}.json"
        old = json.loads(path.read_text()) if path.exists() else {}  # transformers 5 writes fewer files
        path.write_text(json.dumps(old | change))
    return tmp_path


def test_added_tokens_are_bounded_as_they_are_after_normalization(tmp_path):
    many = [{**E_ACUTE, "id": 100 + i, "content": f"{i:0200d}"} for i in range(9000)]
    with pytest.raises(UnsafeRepositoryError, match=r"adds tokens that come to 9,\d+,\d+ bytes when normalized"):
        read_tokenizer(save(tmp_path, change=part("added_tokens", many)))


@pytest.mark.parametrize("missing", [None, "[nowhere]"])
def test_padding_token_is_needed(missing, tmp_path):
    folder = save(tmp_path, tokenizer_config={"pad_token": missing}, special_tokens_map={})
    special = json.loads((folder / "special_tokens_map.json").read_text())
    special.pop("pad_token", None)
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    if missing is None:
        with pytest.raises(UnsafeRepositoryError, match="has no padding token"):
            load_tokenizer(folder)
    else:  # is added, with an id that the encoder has to have
        assert load_tokenizer(folder).pad_token_id == 39


@pytest.mark.parametrize("names", [["attention_mask", "attention_mask"], ["attention_mask", "other"],
                                   ["input_ids", "input_ids"], [], "input_ids", [["input_ids"]]])  # fmt: skip
def test_inputs_have_the_ids_among_them_and_come_once(names, tmp_path):
    with pytest.raises(UnsafeRepositoryError, match="model_input_names is"):
        read_tokenizer(save(tmp_path, tokenizer_config={"model_input_names": names}))


def encoder(rows=400, segments=2, positions=64):
    return SimpleNamespace(
        get_input_embeddings=lambda: torch.nn.Embedding(rows, 1, device="meta"),
        config=SimpleNamespace(model_type="bert", type_vocab_size=segments, max_position_embeddings=positions),
    )


@pytest.mark.parametrize(("post", "reason"), {
    "template": (template([CLS, A], ids=(9999,)), "input_ids of up to 9999, but the encoder has only 400"),
    "separator": ({"type": "BertProcessing", "sep": ["[SEP]", 400], "cls": ["[CLS]", 2]}, "input_ids of up to 400"),
    "separator of a pair": (template([CLS, A], [A, CLS, B], ids=(400,)), "input_ids of up to 400"),
    "segment": (template([CLS, {"Sequence": {"id": "A", "type_id": 7}}]), "token_type_ids of up to 7, but the enc"),
}.values())  # fmt: skip
def test_ids_of_the_post_processor_are_compared_with_the_encoder(post, reason, tmp_path):
    tokenizer = load_tokenizer(save(tmp_path, change=part("post_processor", post)))
    with pytest.raises(UnsafeRepositoryError, match=reason):
        fit_tokenizer(tokenizer, encoder())


def test_tokens_that_are_added_leave_room_for_a_text(tmp_path):
    tokenizer = load_tokenizer(save(tmp_path))
    fit_tokenizer(tokenizer, encoder(positions=4))
    with pytest.raises(UnsafeRepositoryError, match=r"adds 3 tokens to a pair of texts, .* takes at most 3 tokens"):
        fit_tokenizer(tokenizer, encoder(positions=3))


def test_segments_that_an_encoder_lacks_do_not_count(tmp_path):
    tokenizer = load_tokenizer(save(tmp_path, "deberta-v2"))
    fit_tokenizer(tokenizer, encoder(segments=0))
    assert "token_type_ids" not in tokenizer("a", "b")


class Odd:
    """A tokenizer that cannot tokenize, each in its way."""

    pad_token_id = 0

    def __init__(self, act):
        self.act = act

    def __call__(self, *texts, verbose):
        return self.act(texts)


class PanicException(BaseException):
    """As the Rust library's is called."""


def panic(texts):
    raise PanicException("\x1b[2J" * 10**6)


@pytest.mark.parametrize(("act", "reason"), [
    (panic, r"cannot tokenize a text: PanicException: \\x1b\[2J"),
    (lambda texts: {}["x"], "cannot tokenize a text: KeyError: 'x'"),
    (lambda texts: {"input_ids": [0] * len(texts[0])}, "returns no tokens for a text of 0 bytes"),
    (lambda texts: {"input_ids": [0] * (17 - len(texts[0]))}, "returns 17 tokens for a text of 0 bytes"),
    (lambda texts: {"input_ids": [0] * (1 + 5 * len(texts[0]))}, "returns 116 tokens for a text of 23 bytes"),
])  # fmt: skip
def test_probe_refuses(act, reason):
    with pytest.raises(UnsafeRepositoryError, match=reason) as caught:
        tokenizer_probe.probe(Odd(act))
    assert len(str(caught.value)) <= 1000
    assert str(caught.value).isprintable()


def test_probe_refuses_what_is_slow(monkeypatch):
    clock = iter([0.0, 0.1, 0.2, 0.3, 1.0, 7.0])
    monkeypatch.setattr(tokenizer_probe, "perf_counter", lambda: next(clock))
    with pytest.raises(UnsafeRepositoryError, match=r"in 6\.0 seconds; expected .* within 5 seconds"):
        tokenizer_probe.probe(Odd(lambda texts: {"input_ids": [0] * 9}))


def test_long_text_of_a_stranger_is_cut_in_the_middle():
    assert printable("größe, 日本") == "größe, 日本"
    assert printable("a\x1b\n\u202e\ud800\x9b") == r"a\x1b\n\u202e\ud800\x9b"
    assert printable("a" * 50 + "b" * 50, 20) == "a" * 13 + " ... bb"
    assert len(printable("\x1b" * 10**6)) == 1000


def test_probe_lets_a_keyboard_interrupt_through():
    def interrupt(texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenizer_probe.probe(Odd(interrupt))


def test_long_text_has_each_byte_of_utf_8():
    expected = {*range(0xC0), *range(0xC2, 0xF5)} - {*range(0x20)}
    assert expected <= {*tokenizer_probe.LONG.encode()}
    assert len(tokenizer_probe.LONG) < 5000


def test_tokenizer_made_here_passes():
    assert len(tokenizer_probe.probe(word_tokenizer(TEXTS))) == 4
