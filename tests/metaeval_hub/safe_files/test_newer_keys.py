"""What transformers 5 writes is read as what it means, and nothing else is let in with it."""

import json

import pytest
import transformers
from tokenizers import Tokenizer

from metaeval_hub.encoders.tokenizer import load_tokenizer
from metaeval_hub.safe_files.encoder_files import check_encoder_config, check_tokenizer_config, read_tokenizer
from metaeval_hub.safe_files.newer_keys import as_written
from metaeval_hub.safe_files.repository import UnsafeRepositoryError
from tests.metaeval_hub.usual_tokenizers import TEXTS, USUAL, usual_tokenizer

FULL, SLIDING = "full_attention", "sliding_attention"
# as transformers 5.24 writes it
MODERNBERT = {
    "model_type": "modernbert", "num_hidden_layers": 4, "layer_types": [FULL, SLIDING, SLIDING, FULL],
    "rope_parameters": {
        FULL: {"rope_theta": 160000.0, "rope_type": "default"},
        SLIDING: {"rope_theta": 10000.0, "rope_type": "default"},
    },
}  # fmt: skip
OLDER = {
    "model_type": "modernbert", "num_hidden_layers": 4, "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
    "local_rope_theta": 10000.0,
}  # fmt: skip


def rope(**values):
    return {"rope_parameters": {FULL: {"rope_theta": 1e4, "rope_type": "default", **values}}}


def test_modernbert_of_transformers_5_has_the_keys_of_4():
    assert check_encoder_config(MODERNBERT) == OLDER
    assert check_encoder_config({**MODERNBERT, **OLDER}) == OLDER  # both forms, which agree
    assert check_encoder_config({**OLDER, "local_rope_theta": None})["local_rope_theta"] == 160000.0


@pytest.mark.parametrize(
    ("types", "period"), [([FULL], 1), ([FULL, FULL], 1), ([FULL, SLIDING], 2), ([FULL, SLIDING, FULL, SLIDING], 2)]
)
def test_period_of_full_attention(types, period):
    config = check_encoder_config({"model_type": "modernbert", "layer_types": types})
    assert config["global_attn_every_n_layers"] == period


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layer_types": [SLIDING, FULL, SLIDING, FULL]}, "layer_types is .*; expected full_attention in every n-th"),
        ({"layer_types": [FULL, SLIDING, FULL, FULL]}, "layer_types is .*; expected full_attention in every n-th"),
        ({"layer_types": [FULL, SLIDING]}, "of the num_hidden_layers layers"),
        ({"layer_types": ["linear_attention"] * 4}, "expected a list of 1 to 256 layers"),
        ({"layer_types": FULL}, "expected a list of 1 to 256 layers"),
        ({"layer_types": [[FULL]] * 4}, "expected a list of 1 to 256 layers"),
        (rope(rope_type="yarn"), r"rope_parameters\.full_attention is .*; expected an object with rope_type 'default'"),
        (rope(factor=8.0), "rope_type 'default'"),
        (rope(rope_theta=0), "rope_theta in 1..1e9"),
        (rope(rope_theta="1"), "rope_theta in 1..1e9"),
        ({"rope_parameters": {"rope_theta": 1e4}}, "expected an object with full_attention and sliding_attention"),
        ({"global_rope_theta": 5.0}, "global_rope_theta is 5.0, and its newer key says 160000.0; remove one of them"),
        ({"global_attn_every_n_layers": 2}, "global_attn_every_n_layers is 2, and its newer key says 3"),
        ({"model_type": "bert"}, "unknown key 'layer_types'"),
    ],
)
def test_newer_key_with_another_meaning_is_refused(change, reason):
    with pytest.raises(UnsafeRepositoryError, match=reason):
        check_encoder_config({**MODERNBERT, **change})


def test_tokenizer_of_transformers_5_has_the_keys_of_4():
    written = {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "unk_id": 1, "cls_token": "[CLS]"}
    assert check_tokenizer_config(written) == {"cls_token": "[CLS]"}
    assert check_tokenizer_config({"extra_special_tokens": ["<a>"]}) == {"additional_special_tokens": ["<a>"]}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"unk_id": "1"}, "unk_id is '1'; expected a whole number"),
        ({"unk_id": -1}, "unk_id is -1"),
        (
            {"extra_special_tokens": {"image_token": "<image>"}},
            "extra_special_tokens is .*; expected nothing, or a list",
        ),
        ({"extra_special_tokens": [1]}, "extra_special_tokens is"),
        ({"extra_special_tokens": ["<a>"], "additional_special_tokens": ["<b>"]}, "remove one of them"),
        ({"tokenizer_class": "PythonBackend"}, "tokenizer_class is 'PythonBackend'"),
    ],
)
def test_newer_key_of_a_tokenizer_is_held_to_its_rule(config, reason, tmp_path):
    usual_tokenizer("bert").save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(UnsafeRepositoryError, match=reason):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("kind", USUAL)
def test_tokens_are_those_of_tokenizer_json_whatever_the_class_would_build(kind, tmp_path):
    usual_tokenizer(kind).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink(missing_ok=True)
    config = {"tokenizer_class": USUAL[kind]}  # which names no special tokens, as many older files do
    if USUAL[kind] == "PreTrainedTokenizerFast":
        config["pad_token"] = "[PAD]"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    expected, found = Tokenizer.from_file(str(tmp_path / "tokenizer.json")), load_tokenizer(tmp_path)
    for text in (*TEXTS, "The ﬁrst  of\tmany,\nＡＢ 中国"):
        assert found(text)["input_ids"] == expected.encode(text).ids
        assert found(text, "a dog")["input_ids"] == expected.encode(text, "a dog").ids


@pytest.mark.parametrize("kind", USUAL)
def test_generic_class_has_the_special_tokens_of_the_class(kind, tmp_path):
    usual_tokenizer(kind).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink(missing_ok=True)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": USUAL[kind]}))
    name, files = as_written(*read_tokenizer(tmp_path))
    written = json.loads(files["tokenizer_config.json"])
    defaults = getattr(transformers, USUAL[kind])(tokenizer_object=usual_tokenizer(kind).backend_tokenizer)
    assert name == written["tokenizer_class"] == "PreTrainedTokenizerFast"
    roles = [f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")]
    assert {role: written[role] for role in roles if role in written} == {
        role: str(getattr(defaults, role)) for role in roles if getattr(defaults, role) is not None
    }
    segments = ["token_type_ids"] if kind in ("bert", "electra", "deberta-v2", "modernbert") else []
    assert written["model_input_names"] == ["input_ids", *segments, "attention_mask"]


def test_names_that_a_file_gives_come_before_those_of_the_class(tmp_path):
    usual_tokenizer("bert").save_pretrained(tmp_path)
    config = {"tokenizer_class": "BertTokenizer", "mask_token": None, "model_input_names": ["input_ids"]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": "[SEP]"}')
    written = json.loads(as_written(*read_tokenizer(tmp_path))[1]["tokenizer_config.json"])
    assert written["mask_token"] is None
    assert written["model_input_names"] == ["input_ids"]
    assert "pad_token" not in written


def test_files_without_a_tokenizer_json_keep_their_class():
    files = {"tokenizer_config.json": b"{}", "vocab.txt": b"[PAD]"}
    assert as_written("BertTokenizerFast", files) == ("BertTokenizerFast", files)
