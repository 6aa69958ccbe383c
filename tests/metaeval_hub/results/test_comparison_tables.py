"""Tables of a comparison, and its remarks."""

from metaeval_hub.results.comparison import compare
from metaeval_hub.results.comparison_tables import remarks, summary_table, task_table, to_markdown
from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.schema import RunFacts, RunResult
from tests.metaeval_hub.results.test_comparison import made, task


def test_tables_of_a_comparison(tmp_path):
    found = compare([made("first", tmp_path, a=0.6, b=0.7), made("with|bar", tmp_path, a=0.7, b=0.7)])
    tasks = task_table(found)
    assert [column.title for column in tasks.columns] == ["task", "majority", "first", "with|bar"]
    assert tasks.cells() == [
        ["g/a", "50.0", "60.0", "70.0"],
        ["g/b", "50.0", "70.0", "70.0"],
        ["mean of 2", "50.0", "65.0", "70.0"],
    ]
    means = summary_table(found)
    assert [column.title for column in means.columns] == [
        *("run", "mean accuracy", "95 % interval", "over majority", "over first", "better, equal, worse"),
    ]
    assert means.cells() == [
        ["first", "65.0", "1.5 to 100.0", "+15.0 (-48.5 to +78.5)", "-", "-"],
        ["with|bar", "70.0", "70.0 to 70.0", "+20.0 (+20.0 to +20.0)", "+5.0 (-58.5 to +68.5)", "1, 1, 0"],
    ]
    text = to_markdown(found)
    assert "| g/a | 50.0 | 60.0 | 70.0 |" in text
    assert "with\\|bar" in text


def test_majority_class_has_one_column(tmp_path):
    found = compare([made("majority", tmp_path, a=0.5, b=0.5), made("other", tmp_path, a=0.7, b=0.7)])
    assert [column.title for column in task_table(found).columns] == ["task", "majority", "other"]
    assert [column.title for column in summary_table(found).columns].count("over majority") == 1


def test_remarks_on_repeated_seeds_and_long_lists(tmp_path):
    names = {f"t{i}": 0.5 for i in range(12)}
    runs = [made("seeds", tmp_path, x=0.6, **names), made("seeds", tmp_path, x=0.8), made("other", tmp_path, x=0.7)]
    found = compare(runs)
    assert summary_table(found).cells()[0][:3] == ["seeds", "2", "70.0 ± 14.1"]
    left_out = remarks(found)[0]
    assert left_out.startswith("Left out, not scored on test by seeds, other: g/t0, ")
    assert left_out.endswith("g/t7 and 4 more (12 tasks).")


def test_marks_and_further_means_are_shown(tmp_path):
    scores = {"glue/wnli": 0.1, "glue/qqp": 0.9, "glue/rte": 0.5}
    tasks = {name: parse_task(task(value)) for name, value in scores.items()}
    found = compare([RunResult("ours", tmp_path, tasks, RunFacts(encoder="sentence-transformers/all-MiniLM-L6-v2"))])
    assert [line[0] for line in task_table(found).cells()] == ["glue/wnli", "glue/qqp †", "glue/rte", "mean of 3"]
    means = summary_table(found)
    shown = dict(zip([column.title for column in means.columns], means.cells()[0], strict=True))
    assert (shown["mean accuracy"], shown["without glue/wnli"], shown["without †"]) == ("50.0", "70.0", "30.0")
    text = to_markdown(found)
    assert "† The encoder sentence-transformers/all-MiniLM-L6-v2 was trained on labelled data of this task" in text
    assert "glue/qqp (Quora duplicate questions: the same questions and labels)" in text
