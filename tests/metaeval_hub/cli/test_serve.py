"""`metaeval serve`: from the command to an answer and to the exit status after a signal."""

import signal
import subprocess
import sys

import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main
from tests.conftest import ROOT
from tests.metaeval_hub.serve.running import Client


def test_sigterm_ends_the_server_with_status_0(tmp_path):
    labels, config = {"x/one": ("no", "yes")}, ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create("tiny", labels, config, vocabulary=["a cat sat"])
    folder = str(model.save_pretrained(tmp_path / "model"))
    command = [sys.executable, "-m", "metaeval_hub", "serve", folder, "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline()
            assert line.startswith("serving 1 task on http://127.0.0.1:")
            port = int(line.split(";")[0].rsplit(":", 1)[1])
            status, answer = Client(port).predict({"task": "x/one", "texts": ["a cat"]})
            assert status == 200
            expected = model.predict("x/one", ["a cat"]).probabilities[0, 1]
            assert answer["predictions"][0]["probabilities"]["yes"] == pytest.approx(expected, abs=1e-5)
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
            assert server.stderr.read() == "stopped; all accepted requests were answered\n"
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets other machines reach the server, which needs a token"),
        (["--max-queue", "1"], "the queue takes 1 texts, fewer than the 256 that one request may have"),
        (["--token-file", "/no/such/file"], "No such file or directory"),
        (["--port", "0", "--threads", "0"], "--threads is 0; expected at least 1"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys, monkeypatch):
    monkeypatch.delenv("METAEVAL_TOKEN", raising=False)
    assert main(["serve", "runs/none", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("metaeval serve: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_precision_of_torch_is_refused_for_a_model_in_onnx(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("metaeval_hub.serve.onnx_files.is_onnx_folder", lambda folder: True)
    assert main(["serve", str(tmp_path), "--port", "0", "--matmul-precision", "medium"]) == 1
    assert "--matmul-precision medium has no effect on a model in ONNX" in capsys.readouterr().err
