import io

from metaeval_training.runs.reporter import Reporter, remaining, validation_line, worst
from rich.console import Console

OVER = {"glue/cola": -0.012, "glue/rte": 0.0, "glue/sst2": 0.31, "glue/mrpc": 0.02, "a/a": 0.2, "a/b": 0.2, "a/c": 0.2}


def test_worst_is_what_gains_least_over_the_majority():
    assert worst(OVER, 3) == "glue/cola -1.2, glue/rte +0.0, glue/mrpc +2.0"


def test_many_tasks_are_summarized_by_their_mean_and_the_worst():
    accuracies = dict.fromkeys(OVER, 0.5)
    assert validation_line(accuracies, OVER) == (
        "validation accuracy: mean of 7: 0.500, +13.1 points over the majority class; "
        "least: glue/cola -1.2, glue/rte +0.0, glue/mrpc +2.0"
    )
    few = {"glue/cola": 0.5, "glue/rte": 0.25}
    assert validation_line(few, OVER) == "validation accuracy: glue/cola 0.50, glue/rte 0.25 (mean of 2: 0.375)"


def make(terminal):
    reporter = Reporter(main=True)
    out = io.StringIO()
    reporter.console = Console(file=out, force_terminal=terminal, width=100, highlight=False, color_system=None)
    return reporter, out


def test_a_terminal_has_one_bar_with_the_worst_tasks_below():
    reporter, out = make(True)
    with reporter.progress("training", 100, unit="step") as display:
        display.update(40, "loss 0.61  102 examples/s")
        display.show_worst(OVER)
    shown = out.getvalue()
    assert "40/100" in shown
    assert "loss 0.61  102 examples/s" in shown
    assert "least over the majority class: glue/cola -1.2, glue/rte +0.0, glue/mrpc +2.0, a/a +20.0" in shown


def test_the_remaining_time_is_at_the_pace_since_the_start_of_this_process():
    assert remaining(elapsed=60.0, done=30, left=90) == ", 3:00 left"
    assert remaining(elapsed=60.0, done=0, left=90) == remaining(elapsed=60.0, done=30, left=0) == ""


def test_elsewhere_there_are_twenty_plain_lines():
    reporter, out = make(False)
    with reporter.progress("training", 100, unit="step") as display:
        for step in range(1, 101):
            display.update(step, "loss 0.61")
        display.show_worst(OVER)
    lines = out.getvalue().splitlines()
    assert len(lines) == 20
    assert lines[0] == "step 5/100  loss 0.61  elapsed 0:00, 0:00 left"
    assert lines[-1] == "step 100/100  loss 0.61  elapsed 0:00"
    assert "\x1b" not in out.getvalue()
