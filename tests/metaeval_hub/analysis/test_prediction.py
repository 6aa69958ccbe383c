"""Predictions of z: planted types predict it, and noise cannot be predicted."""

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.prediction import prediction
from tests.metaeval_hub.embedded import TASKS, make_run, noise_run, planted_features


def test_planted_types_predict_z_and_noise_is_not_predicted():
    features = planted_features()
    vectors = {"TextEmb": TaskEmbeddings(TASKS, features.texts)}
    rows = {row["method"]: row for row in prediction([make_run(seed=1), make_run(seed=2)], features, vectors).records}
    assert rows["mean of the other tasks"]["explained"] == 0
    assert rows["ridge from aspects"]["explained"] > 0.3
    assert rows["mean of the other tasks of its type"]["explained"] > 0.3
    assert rows["ridge from aspects"]["rank"] < 8
    assert rows["ridge from TextEmb"]["explained"] < 0.2
    assert rows["ridge from TextEmb"]["explained_std"] is not None
    noise = {row["method"]: row for row in prediction([noise_run(0)], features, vectors).records}
    assert noise["ridge from aspects"]["explained"] < 0.05
