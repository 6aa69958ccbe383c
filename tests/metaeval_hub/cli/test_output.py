"""What the command prints: any encoding, any reader, any name; and which errors end in a line."""

import io
import os

import pytest

from metaeval_hub import cli
from metaeval_hub.cli import compare, main, predict, tasks
from metaeval_hub.cli.output import Output, encodable
from metaeval_hub.results.terminal import labelled, make_console, path_of
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
def test_work_is_finished_whoever_reads_the_output(error, status, tmp_path, monkeypatch, capsys):
    class Gone(io.StringIO):
        encoding = "utf-8"

        def write(self, text):
            raise error

    write(tmp_path / "run", {"g/a": task(0.5), "g/b": task(0.7)})
    monkeypatch.setattr("sys.stdout", Gone())
    assert main(["compare", str(tmp_path / "run"), "--out", str(tmp_path / "out.md")]) == status
    assert "| g/a | 50.0 | 50.0 |" in (tmp_path / "out.md").read_text()
    assert ("standard output cannot be written: full" in capsys.readouterr().err) == (status == 1)


def test_what_a_terminal_obeys_is_not_shown(tmp_path, capsys):
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


@pytest.mark.parametrize(
    ("error", "caught"),
    [(ValueError("x"), True), (OSError("x"), True), (KeyError("x"), False), (TypeError("x"), False),
     (AttributeError("x"), False), (RuntimeError("x"), False)],
)  # fmt: skip
def test_faults_of_our_own_are_no_mistakes_of_users(error, caught, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr(tasks, "run", fail)
    if caught:
        assert main(["tasks"]) == 1
        assert capsys.readouterr().err == "metaeval tasks: x\n"
        return
    with pytest.raises(type(error)):
        main(["tasks"])
    assert "a bug in metaeval; please report it" in capsys.readouterr().err


def test_an_endless_error_is_cut(monkeypatch, capsys):
    monkeypatch.setattr(tasks, "run", lambda options: (_ for _ in ()).throw(ValueError("x" * 10**6)))
    assert main(["tasks"]) == 1
    assert len(capsys.readouterr().err) < cli.MOST_CHARACTERS + 100


def test_labels_are_told_from_names_with_equals_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lr=0.1-1", "plain", "a b[c]'"):
        (tmp_path / name).mkdir()
    assert labelled("lr=0.1-1") == (None, "lr=0.1-1")
    assert labelled("x=lr=0.1-1") == ("x", "lr=0.1-1")
    assert labelled("x=1=lr=0.1-1") == ("x=1", "lr=0.1-1")
    assert labelled("fixed/z=plain") == ("fixed/z", "plain")
    assert labelled("x=a b[c]'") == ("x", "a b[c]'")
    assert labelled("x=org/name") == ("x", "org/name")
    assert labelled("none/a=b") == (None, "none/a=b")
    for wrong in ("x=", ""):
        with pytest.raises(ValueError, match=r"names no run|is empty"):
            labelled(wrong)


def test_a_tilde_is_the_home_folder_everywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", {"g/a": task(0.5), "g/b": task(0.7)})
    assert main(["compare", "~/run", "x=~/run", "--out=~/t.md"]) == 0
    assert path_of("~/t.md").exists()
    assert not (tmp_path / "~").exists()
    assert [run.label for run in compare.read_all(["~/run", "x=~/run"])] == ["run", "x"]


@pytest.mark.parametrize("data", [b"a\nb c\n", b"a\r\nb c\r\n", b"\xef\xbb\xbfa\nb c", b"a\nb c"])
def test_lines_of_standard_input_are_the_same_from_every_system(data, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
    assert predict.read_lines() == ["a", "b c"]


def test_lines_that_are_not_utf_8_are_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("a\ntrès".encode("latin1"))))
    with pytest.raises(ValueError, match=r"line 2 of standard input is not UTF-8 \(byte 0xe8 at place 3\)"):
        predict.read_lines()
    with pytest.raises(ValueError, match="text 2 is not UTF-8"):
        predict._arguments(["a", os.fsdecode(b"\xe8")])


def test_closed_standard_input_is_told(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="standard input is closed"):
        predict.read_lines()
