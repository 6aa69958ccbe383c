"""Snips: the intent of a request to a voice assistant."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

_INTENTS = (
    "ComparePlaces", "RequestRide", "GetWeather", "SearchPlace", "GetPlaceDetails", "ShareCurrentLocation",
    "GetTrafficInformation", "BookRestaurant", "GetDirections", "ShareETA",
)  # fmt: skip

TASKS = [
    TaskSpec(
        name="snips_built_in_intents/default",
        sources=(Source("sonos-nlu-benchmark/snips_built_in_intents", config="default"),),
        sentence="text",
        names=_INTENTS,
        splits=("train",),
        type=TaskType.OTHER,
        rows={"train": 328},
        license="cc0-1.0",
        citation="coucke2018snips",
        notes="The task has 328 rows for ten intents.",
    ),
]
