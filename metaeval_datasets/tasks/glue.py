"""GLUE. The test labels are hidden except those of mrpc, so validation becomes the test split of the others."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import ENTAILMENT, THREE_WAY_NLI

GLUE = "nyu-mll/glue"
_PARAPHRASE = ("not_paraphrase", "paraphrase")

TASKS = [
    TaskSpec(
        name="glue/cola",
        sources=(Source(GLUE, config="cola"),),
        sentence="sentence",
        names=("unacceptable", "acceptable"),
        unlabelled=("test",),
        type=TaskType.ACCEPTABILITY,
        rows={"train": 8551, "validation": 1043, "test": 1063},
        license="other",
        citation="warstadt2019cola",
        notes="The order of the classes is the reverse of that of the other acceptability tasks.",
    ),
    TaskSpec(
        name="glue/sst2",
        sources=(Source(GLUE, config="sst2"), Source("SetFit/sst2", columns={"sentence": "text"})),
        sentence="sentence",
        names=("negative", "positive"),
        unlabelled=("test",),
        type=TaskType.EMOTION,
        rows={"train": 67349, "validation": 872, "test": 1821},
        license="other",
        citation="socher2013sst",
        notes="Training rows are phrases from the same reviews as rotten_tomatoes.",
    ),
    TaskSpec(
        name="glue/mrpc",
        sources=(
            Source(GLUE, config="mrpc"),
            Source("SetFit/mrpc", columns={"sentence1": "text1", "sentence2": "text2"}),
        ),
        sentence1="sentence1",
        sentence2="sentence2",
        names=("not_equivalent", "equivalent"),
        canonical=_PARAPHRASE,
        type=TaskType.PARAPHRASE_DETECTION,
        rows={"train": 3668, "validation": 408, "test": 1725},
        license="other",
        citation="dolan2005mrpc",
        notes="This is the only task of GLUE whose test labels are public.",
    ),
    TaskSpec(
        name="glue/qqp",
        sources=(
            Source(GLUE, config="qqp"),
            Source("SetFit/qqp", columns={"question1": "text1", "question2": "text2"}),
        ),
        sentence1="question1",
        sentence2="question2",
        names=("not_duplicate", "duplicate"),
        canonical=_PARAPHRASE,
        unlabelled=("test",),
        type=TaskType.PARAPHRASE_DETECTION,
        rows={"train": 363846, "validation": 40430, "test": 390965},
        license="other",
        citation="iyer2017qqp",
        notes="A few questions are empty; their rows are dropped.",
    ),
    TaskSpec(
        name="glue/mnli",
        sources=(
            Source(GLUE, config="mnli", splits={"validation": "validation_matched", "test": "test_matched"}),
            Source("SetFit/mnli", columns={"premise": "text1", "hypothesis": "text2"}),
        ),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "neutral", "contradiction"),
        canonical=THREE_WAY_NLI,
        unlabelled=("test",),
        type=TaskType.NLI,
        rows={"train": 392702, "validation": 9815, "test": 9796},
        license="other",
        citation="williams2018mnli",
        notes="The task uses the matched splits; the mismatched ones (9,832 and 9,847 rows) are not read.",
    ),
    TaskSpec(
        name="glue/qnli",
        sources=(
            Source(GLUE, config="qnli"),
            Source("SetFit/qnli", columns={"question": "text1", "sentence": "text2"}),
        ),
        sentence1="question",
        sentence2="sentence",
        names=("entailment", "not_entailment"),
        canonical=ENTAILMENT,
        unlabelled=("test",),
        type=TaskType.NLI,
        rows={"train": 104743, "validation": 5463, "test": 5463},
        license="other",
        citation="rajpurkar2016squad",
        notes="Entailment means that the sentence contains the answer to the question.",
    ),
    TaskSpec(
        name="glue/rte",
        sources=(
            Source(GLUE, config="rte"),
            Source("SetFit/rte", columns={"sentence1": "text1", "sentence2": "text2"}),
        ),
        sentence1="sentence1",
        sentence2="sentence2",
        names=("entailment", "not_entailment"),
        canonical=ENTAILMENT,
        unlabelled=("test",),
        type=TaskType.NLI,
        rows={"train": 2490, "validation": 277, "test": 3000},
        license="other",
        citation="dagan2006rte",
    ),
    TaskSpec(
        name="glue/wnli",
        sources=(
            Source(GLUE, config="wnli"),
            Source("SetFit/wnli", columns={"sentence1": "text1", "sentence2": "text2"}),
        ),
        sentence1="sentence1",
        sentence2="sentence2",
        names=("not_entailment", "entailment"),
        canonical=("not_entailment", "entailment"),
        unlabelled=("test",),
        type=TaskType.NLI,
        rows={"train": 635, "validation": 71, "test": 146},
        license="other",
        citation="levesque2012winograd",
        notes=(
            "The order of the classes is the reverse of that of rte and qnli. Validation is adversarial to train, "
            "so an accuracy below the majority class is normal, and 71 rows are too few for conclusions."
        ),
    ),
    TaskSpec(
        name="glue/ax",
        sources=(Source(GLUE, config="ax"),),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "neutral", "contradiction"),
        canonical=THREE_WAY_NLI,
        splits=("test",),
        unlabelled=("test",),
        type=TaskType.NLI,
        rows={"test": 1104},
        in_101=False,
        license="other",
        citation="wang2019glue",
        notes=(
            "This diagnostic set has no public labels on the Hub; use it for prediction. It is not one of the 101 "
            "tasks."
        ),
    ),
]
