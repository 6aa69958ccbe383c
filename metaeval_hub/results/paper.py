"""The numbers in Sileo & Moens, "Analysis and Prediction of NLP Models via Task Embeddings", LREC 2022.

All are for RoBERTa-base on the paper's 101 tasks, whole. Accuracies and rates are shares, in 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping

CITATION = "Sileo & Moens 2022"

# Table 1: method -> mean test accuracy
TABLE_1: Mapping[str, float] = {
    "majority": 0.429,
    "full": 0.769,
    "adapter": 0.678,
    "mahabadi": 0.756,
    "pilault": 0.797,
    "textemb": 0.699,
    "fisher": 0.675,
}
# Table 1: method -> trained numbers of the encoder, and how many of them belong to one task
TABLE_1_PARAMETERS: Mapping[str, tuple[str, str]] = {
    "full": ("124M", "124M"),
    "adapter": ("10M", "10M"),
    "mahabadi": ("38M", "512"),
    "pilault": ("10M", "32"),
    "textemb": ("10M", "32"),
    "fisher": ("10M", "32"),
}

# Tables 2 and 3: task type -> mean and standard deviation
TABLE_2: Mapping[str, tuple[float, float]] = {
    "grammar": (0.620, 0.039),
    "acceptability": (0.571, 0.000),
    "emotion": (0.476, 0.022),
    "discourse": (0.457, 0.000),
    "nli": (0.375, 0.010),
    "other": (0.348, 0.007),
    "paraphrase_detection": (0.315, 0.131),
    "facticity": (0.300, 0.047),
    "random": (0.010, 0.005),
}
TABLE_3: Mapping[str, tuple[float, float]] = {
    "emotion": (0.263, 0.112),
    "grammar": (0.202, 0.104),
    "acceptability": (0.194, 0.091),
    "paraphrase_detection": (0.143, 0.104),
    "nli": (0.141, 0.095),
    "facticity": (0.131, 0.085),
    "discourse": (0.116, 0.075),
    "other": (0.102, 0.082),
}

# Table 4: features -> aspect -> accuracy of the probe
_ASPECTS = ("domain_cluster", "train_rows", "text_fields", "task_type", "median_words", "average")
TABLE_4: Mapping[str, Mapping[str, float]] = {
    features: dict(zip(_ASPECTS, accuracies, strict=True))
    for features, accuracies in {
        "majority": (0.278, 0.624, 0.634, 0.208, 0.248, 0.398),
        "Fisher": (0.377, 0.613, 0.622, 0.357, 0.256, 0.445),
        "latent z": (0.418, 0.515, 0.622, 0.457, 0.328, 0.468),
        "latent + TextEmb": (0.715, 0.604, 0.763, 0.604, 0.536, 0.644),
        "TextEmb": (0.783, 0.593, 0.823, 0.506, 0.603, 0.662),
    }.items()
}

# Table 5: method -> task -> accuracy
GLUE = ("glue/cola", "glue/sst2", "glue/mrpc", "glue/qqp", "glue/mnli", "glue/qnli", "glue/rte")
TABLE_5: Mapping[str, Mapping[str, float]] = {
    method: dict(zip((*GLUE, "average"), accuracies, strict=True))
    for method, accuracies in {
        "supervised": (0.792, 0.931, 0.755, 0.847, 0.809, 0.889, 0.473, 0.785),
        "same_type_full": (0.735, 0.936, 0.688, 0.553, 0.727, 0.515, 0.702, 0.694),
        "same_type_mean": (0.767, 0.914, 0.676, 0.570, 0.670, 0.538, 0.640, 0.682),
        "ridge": (0.762, 0.920, 0.676, 0.616, 0.717, 0.538, 0.686, 0.702),
        "aware_textemb": (0.754, 0.902, 0.702, 0.539, 0.665, 0.573, 0.658, 0.681),
        "aware_aspects": (0.754, 0.900, 0.704, 0.711, 0.662, 0.562, 0.637, 0.704),
    }.items()
}
