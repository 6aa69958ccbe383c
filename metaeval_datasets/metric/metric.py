"""Accuracy, macro-F1 and Matthews' correlation of a classification task, as a metric of the library `evaluate`.

`evaluate` copies this file into its cache together with the two that it imports. Those imports are relative because
the three files are also published on their own, see ``metaeval publish --metric``.
"""

import datasets
import evaluate

from .class_names import CLASS_NAMES
from .scores import score_predictions

DESCRIPTION = """\
Accuracy, macro-F1 and Matthews' correlation of a classification task, from the exact counts of its confusion matrix.
A config is a task of metaeval, such as "glue/cola", and knows its classes. Without a config, classes are numbers.
"""
INPUTS = """
Args:
    predictions: predicted class of each row: a number, or a name if the config is a task.
    references: true class of each row, in the same form.
    sample_weight: number of times that each row counts; None counts each row once.
Returns:
    accuracy: share of the rows that are predicted correctly, 0..1.
    macro_f1: mean F1 over the classes that occur among the predictions or references, 0..1.
    matthews: Matthews' correlation (Gorodkin 2004), -1..1; 0 if the predictions or the references are constant.
"""
CITATION = """\
@article{gorodkin2004comparing,
  title = {Comparing two {K}-category assignments by a {K}-category correlation coefficient},
  author = {Gorodkin, Jan},
  journal = {Computational Biology and Chemistry},
  year = {2004}
}
"""


class MetaevalMetric(evaluate.Metric):
    """Score the predictions of one task."""

    def _info(self) -> evaluate.MetricInfo:
        """Return the description and the form of the inputs."""
        if self.config_name == "default":
            feature = datasets.Value("int64")
        elif self.config_name in CLASS_NAMES:
            feature = datasets.ClassLabel(names=list(CLASS_NAMES[self.config_name]))
        else:
            raise ValueError(
                f"no task {self.config_name!r} among {len(CLASS_NAMES)}; give a task such as 'glue/cola', or none"
            )
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": feature, "references": feature}),
        )

    def _compute(self, predictions, references, sample_weight=None) -> dict[str, float]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Count the predictions and score them."""
        if self.config_name == "default":
            classes = 1 + max([*predictions, *references], default=0)
        else:
            classes = len(CLASS_NAMES[self.config_name])
        return score_predictions(references, predictions, classes, sample_weight)
