"""`metaeval predict --file`: the rows of a file, with their predictions."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.cli import main
from tests.metaeval_hub.cli.test_predict import folder as folder  # a model over texts (x/one) and over pairs (x/pair)

CLASSES = ["p(no)", "p(yes)"]


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def expected(folder, task, texts):
    found = ConditionalAdapterModel.from_pretrained(folder).predict(task, texts)
    rows = zip(found.labels, found.probabilities.tolist(), strict=True)
    return [(label, *(f"{share:.4f}" for share in row)) for label, row in rows]


def test_rows_keep_their_columns_and_get_predictions(folder, tmp_path, capsys):
    (tmp_path / "new.csv").write_text('id;message;n\n7;"a ""cat""; sat";1\n8; ;2\n9;a dog;\n')
    out = tmp_path / "made" / "out.csv"
    assert main(["predict", folder, "x/one", "--file", str(tmp_path / "new.csv"), "--out", str(out)]) == 0
    assert (
        capsys.readouterr().out
        == f"wrote {out} with 3 rows, texts from column 'message'; without a text, and therefore without a "
        "prediction: 1\n"
    )
    rows = read(out.read_text())
    assert list(rows[0]) == ["id", "message", "n", "prediction", "probability", *CLASSES]
    assert [(row["id"], row["message"], row["n"]) for row in rows] == [
        ("7", 'a "cat"; sat', "1"), ("8", " ", "2"), ("9", "a dog", ""),
    ]  # fmt: skip
    found = [tuple(rows[place][name] for name in ("prediction", *CLASSES)) for place in (0, 2)]
    assert found == expected(folder, "x/one", ['a "cat"; sat', "a dog"])
    assert rows[0]["probability"] == max(rows[0][name] for name in CLASSES)
    assert not any(rows[1][name] for name in ("prediction", "probability", *CLASSES))
    assert [path.name for path in out.parent.iterdir()] == ["out.csv"]


def test_pairs_and_joined_columns_of_all_formats(folder, tmp_path, capsys):
    rows = {"a": ["a cat"], "b": ["sat"], "c": ["a dog"], "n": [3]}
    pq.write_table(pa.table({**rows, "list": [["x"]]}), tmp_path / "new.parquet")
    (tmp_path / "new.jsonl").write_text(json.dumps({key: value[0] for key, value in rows.items()}) + "\n")
    (tmp_path / "new.tsv").write_text("a\tb\tc\tn\na cat\tsat\ta dog\t3\n")
    for name in ("new.parquet", "new.jsonl", "new.tsv"):
        command = [
            "predict",
            folder,
            "x/pair",
            "--file",
            str(tmp_path / name),
            "--text",
            "a",
            "b",
            "--second-text",
            "c",
        ]
        assert main(command) == 0
        (row,) = read(capsys.readouterr().out)
        own = ["a", "b", "c", "n"] + ["list"] * name.endswith("parquet")
        assert list(row) == [*own, "prediction", "probability", "p(same)", "p(other)"]
        assert row.get("list", '["x"]') == '["x"]'
        assert (row["a"], row["n"]) == ("a cat", "3")
        assert [(row["prediction"], row["p(same)"], row["p(other)"])] == expected(
            folder, "x/pair", [("a cat sat", "a dog")]
        )


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("text\n", [], "new.csv has no rows; give a file with one or more"),
        ("", [], "new.csv: is empty; expected the names of the columns in the first line"),
        ("text\na\n", ["--text", "txt"], "has no column 'txt' (closest: 'text')"),
        ("text,prediction\na,b\n", [], "has a column 'prediction', and a column of this name would be added"),
        ("sentence1,sentence2\na,b\n", [], "x/one classifies single texts, and FILE was read as pairs of texts"),
        ("text\na\n", ["--json"], "leave out --json, or --file"),
        ("text\na\n", ["--second-text", "b"], "--second-text b needs --text"),
        ("text,,\na,1,2\n", [], "has 2 columns without a name; give each column a name of its own, or remove it"),
        ("text\na\n", ["--encoding", "base64"], "the encoding 'base64' is unknown; expected one such as utf-8"),
        ("text\na\n", ["--encoding", "utf-16"], "line 1 is not utf-16 (UTF-16 stream does not start with BOM)"),
        ("text\na\n", ["--delimiter", ";;"], "--delimiter must be one character or tab, got ';;'"),
        ("text\na\n", ["--encoding", "utf-9"], "the encoding 'utf-9' is unknown"),
        ('text\na 5" nail\nan "open one\n"b\n', [], "--quote none"),
    ],
)
def test_errors(folder, tmp_path, capsys, content, arguments, message):
    file, out = str(tmp_path / "new.csv"), tmp_path / "out.csv"
    (tmp_path / "new.csv").write_text(content)
    assert main(["predict", folder, "x/one", "--file", file, "--out", str(out), *arguments]) == 1
    assert message.replace("FILE", file) in capsys.readouterr().err
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_columns_of_later_json_lines_and_their_lists_and_objects_are_kept(folder, tmp_path, capsys):
    file = tmp_path / "new.jsonl"
    lines = [
        '{"id": 1}',
        '{"id": 2, "text": "a cat", "meta": {"é": [1.50, true, "x"]}}',
        '{"text": "a dog", "none": null}',
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert main(["predict", folder, "x/one", "--file", str(file)]) == 0
    rows = read(capsys.readouterr().out)
    assert list(rows[0])[:5] == ["id", "text", "meta", "none", "prediction"]
    assert [(row["id"], row["text"], row["meta"]) for row in rows] == [
        ("1", "", ""), ("2", "a cat", '{"é": [1.50, true, "x"]}'), ("", "a dog", ""),
    ]  # fmt: skip
    assert [bool(row["prediction"]) for row in rows] == [False, True, True]


def test_an_error_about_the_first_rows_leaves_the_output_empty(folder, tmp_path, capsys):
    file = tmp_path / "new.csv"
    file.write_text("a,b\nc,d\n")
    arguments = ["predict", folder, "x/one", "--file", str(file), "--text", "a", "--second-text", "b"]
    assert main(arguments) == 1
    assert capsys.readouterr().out == ""


def test_the_output_is_no_parquet_file(folder, tmp_path, capsys):
    assert main(["predict", folder, "x/one", "--file", "new.csv", "--out", str(tmp_path / "out.parquet")]) == 1
    assert "out.parquet: the output is CSV; give a name that ends in .csv" in capsys.readouterr().err


def test_the_remedy_for_quotation_marks_works(folder, tmp_path, capsys):
    file = tmp_path / "new.csv"
    file.write_text('"text\n"b\na cat\n')
    assert main(["predict", folder, "x/one", "--file", str(file), "--quote", "none"]) == 0
    assert [row['"text'] for row in read(capsys.readouterr().out)] == ['"b', "a cat"]


def test_options_of_files_need_a_file(folder, capsys):
    for arguments in (["--text", "a"], ["--out", "b.csv"], ["--quote", "none"]):
        assert main(["predict", folder, "x/one", "a text", *arguments]) == 1
        assert f"{arguments[0]} is about the rows of a file; name the file with --file" in capsys.readouterr().err


def test_the_precision_of_products_also_applies_to_files(folder, tmp_path, monkeypatch):
    used = []
    predict = ConditionalAdapterModel.predict

    def recorded(*arguments, **options):
        used.append(torch.get_float32_matmul_precision())
        return predict(*arguments, **options)

    monkeypatch.setattr(ConditionalAdapterModel, "predict", recorded)
    (tmp_path / "new.csv").write_text("text\na cat\n")
    command = ["predict", folder, "x/one", "--file", str(tmp_path / "new.csv")]
    assert main([*command, "--matmul-precision", "medium"]) == main(command) == 0
    assert used == ["medium", "highest"]
