"""Output with any encoding, to closed pipes and full devices, and with any names."""

import io

import pytest

from metaeval_hub.cli import main
from metaeval_hub.cli.output import Output, encodable
from metaeval_hub.results.terminal import make_console
from metaeval_hub.safe_files.printable import one_line, without_control
from tests.metaeval_hub.results.test_comparison import task, write


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "## 5 +- 1... \\xe9\\udc80"),
        ("cp1252", "## 5 ± 1… é\\udc80"),
        ("utf-8", "█▌ 5 ± 1… é\\udc80"),
    ],
)  # fmt: skip
def test_every_encoding_can_write_every_text(encoding, shown):
    raw = io.BytesIO()
    out = Output(io.TextIOWrapper(raw, encoding=encoding))
    assert out.write("█▌ 5 ± 1… é\udc80") == 12
    out.flush()
    assert raw.getvalue().decode(encoding) == shown == encodable("█▌ 5 ± 1… é\udc80", encoding)


@pytest.mark.parametrize(("error", "status"), [(BrokenPipeError(32, "Broken pipe"), 0), (OSError(28, "full"), 1)])
def test_command_finishes_if_the_output_cannot_be_written(error, status, tmp_path, monkeypatch, capsys):
    class Gone(io.StringIO):
        encoding = "utf-8"

        def write(self, text):
            raise error

    write(tmp_path / "run", {"g/a": task(0.5), "g/b": task(0.7)})
    monkeypatch.setattr("sys.stdout", Gone())
    assert main(["compare", str(tmp_path / "run"), "--out", str(tmp_path / "out.md")]) == status
    assert "| g/a | 50.0 | 50.0 |" in (tmp_path / "out.md").read_text()
    assert ("standard output cannot be written: full" in capsys.readouterr().err) == (status == 1)


def test_control_characters_are_not_printed(tmp_path, capsys):
    name = "g/\x1b]52;c;eA==\x07\u202ea\nb"
    write(tmp_path / "[red]x[b]", {name: task(0.5), "g/b": task(0.7)})
    assert main(["compare", str(tmp_path / "[red]x[b]"), "--out", str(tmp_path / "t.md")]) == 0
    shown = capsys.readouterr().out
    assert "g/]52;c;eA==a b " in shown
    assert "[red]x[b]" in shown
    assert without_control(shown) == shown
    assert "| g/]52;c;eA==a b |" in (tmp_path / "t.md").read_text()
    assert main(["compare", str(tmp_path / "\x1b[2Jnone")]) == 1
    assert without_control(error := capsys.readouterr().err) == error
    console = make_console()
    with console.capture() as capture:
        console.print("a\x1b[2Jb\x9bc\n\td")
    assert capture.get().split() == ["a[2Jbc", "d"]
    assert one_line("a\r\nb\u2028c") == "a b c"
