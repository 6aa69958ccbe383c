"""Fit SetFit to labelled texts and classify others; a contender of training/few_shot.py, which starts this file.

    python training/few_shot.py --model RUN --methods fit setfit --setfit "PYTHON benchmarks/setfit_fit.py ENCODER"

PYTHON is the interpreter of an environment with setfit, such as setfit 1.2.0, and ENCODER a folder or Hub id of
sentence-transformers. Reads one JSON object from stdin: "train" (texts), "labels" (class numbers), "test" (texts) and
"seed". Writes one JSON object as the last line of stdout: "predicted" (class numbers) and "fit_seconds". The settings
are those of SetFit, with one epoch. The two texts of a pair are joined by a space.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time


def fit(encoder: str, given: dict[str, list]) -> dict[str, object]:
    """Return the predicted classes of the test texts, and the seconds that the fit took."""
    if len(set(given["labels"])) == 1:  # SetFit needs two classes
        return {"predicted": given["labels"][:1] * len(given["test"]), "fit_seconds": 0.0}
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(encoder)
    rows = Dataset.from_dict({"text": given["train"], "label": given["labels"]})
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder, seed=given["seed"], num_epochs=1, save_strategy="no", report_to="none",
            show_progress_bar=False,
        )  # fmt: skip
        Trainer(model=model, args=settings, train_dataset=rows).train()
    seconds = time.monotonic() - started
    return {"predicted": [int(each) for each in model.predict(given["test"])], "fit_seconds": seconds}


if __name__ == "__main__":
    print(json.dumps(fit(sys.argv[1], json.load(sys.stdin))))
