"""Discovery: which discourse marker joined two sentences."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

_MARKERS = (
    "[no-conn]", "absolutely,", "accordingly", "actually,", "additionally", "admittedly,", "afterward", "again,",
    "already,", "also,", "alternately,", "alternatively", "although,", "altogether,", "amazingly,", "and", "anyway,",
    "apparently,", "arguably,", "as_a_result,", "basically,", "because_of_that", "because_of_this", "besides,", "but",
    "by_comparison,", "by_contrast,", "by_doing_this,", "by_then", "certainly,", "clearly,", "coincidentally,",
    "collectively,", "consequently", "conversely", "curiously,", "currently,", "elsewhere,", "especially,",
    "essentially,", "eventually,", "evidently,", "finally,", "first,", "firstly,", "for_example", "for_instance",
    "fortunately,", "frankly,", "frequently,", "further,", "furthermore", "generally,", "gradually,", "happily,",
    "hence,", "here,", "historically,", "honestly,", "hopefully,", "however", "ideally,", "immediately,",
    "importantly,", "in_contrast,", "in_fact,", "in_other_words", "in_particular,", "in_short,", "in_sum,",
    "in_the_end,", "in_the_meantime,", "in_turn,", "incidentally,", "increasingly,", "indeed,", "inevitably,",
    "initially,", "instead,", "interestingly,", "ironically,", "lastly,", "lately,", "later,", "likewise,",
    "locally,", "luckily,", "maybe,", "meaning,", "meantime,", "meanwhile,", "moreover", "mostly,", "namely,",
    "nationally,", "naturally,", "nevertheless", "next,", "nonetheless", "normally,", "notably,", "now,",
    "obviously,", "occasionally,", "oddly,", "often,", "on_the_contrary,", "on_the_other_hand", "once,", "only,",
    "optionally,", "or,", "originally,", "otherwise,", "overall,", "particularly,", "perhaps,", "personally,",
    "plus,", "preferably,", "presently,", "presumably,", "previously,", "probably,", "rather,", "realistically,",
    "really,", "recently,", "regardless,", "remarkably,", "sadly,", "second,", "secondly,", "separately,",
    "seriously,", "significantly,", "similarly,", "simultaneously", "slowly,", "so,", "sometimes,", "soon,",
    "specifically,", "still,", "strangely,", "subsequently,", "suddenly,", "supposedly,", "surely,", "surprisingly,",
    "technically,", "thankfully,", "then,", "theoretically,", "thereafter,", "thereby,", "therefore", "third,",
    "thirdly,", "this,", "though,", "thus,", "together,", "traditionally,", "truly,", "truthfully,", "typically,",
    "ultimately,", "undoubtedly,", "unfortunately,", "unsurprisingly,", "usually,", "well,", "yet,",
)  # fmt: skip

TASKS = [
    TaskSpec(
        name="discovery/discovery",
        sources=(
            Source("sileod/discovery", config="discovery"),
            Source("sileod/discovery", config="discovery", revision="refs/convert/parquet"),
        ),
        sentence1="sentence1",
        sentence2="sentence2",
        names=_MARKERS,
        canonical=tuple(f"marker_{marker.strip('[],').replace('-', '_')}" for marker in _MARKERS),
        type=TaskType.OTHER,  # the paper lists no types; inferred from the order of the legend of figure 5
        rows={"train": 1566000, "validation": 87000, "test": 87000},
        license="apache-2.0",
        citation="sileo2019discovery",
        notes=(
            "The 174 markers are balanced, and class names keep the commas and underscores of the source. Of the 1.57 "
            "million training rows, the paper uses 30,000 per epoch."
        ),
    ),
]
