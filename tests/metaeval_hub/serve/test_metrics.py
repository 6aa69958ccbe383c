"""Counts in the text format of Prometheus."""

from metaeval_hub.serve.metrics import Metrics


def test_text_format():
    metrics = Metrics()
    metrics.request("/predict", 200, 0.02)
    metrics.request("/predict", 200, 99.0)
    metrics.request("/predict", 422, 0.001)
    metrics.batch(3, failed=False)
    metrics.batch(4, failed=True)
    metrics.hang_up()
    lines = metrics.text(lambda: 7).splitlines()
    for line in (
        'metaeval_requests_total{path="/predict",status="200"} 2',
        'metaeval_requests_total{path="/predict",status="422"} 1',
        "metaeval_errors_total 1",
        "metaeval_hang_ups_total 1",
        "metaeval_failed_batches_total 1",
        "metaeval_queue_texts 7",
        'metaeval_batch_texts_bucket{le="2"} 0',
        'metaeval_batch_texts_bucket{le="4"} 2',
        "metaeval_batch_texts_sum 7.000000",
        'metaeval_predict_seconds_bucket{le="0.01"} 0',
        'metaeval_predict_seconds_bucket{le="0.025"} 1',
        'metaeval_predict_seconds_bucket{le="+Inf"} 2',
        "metaeval_predict_seconds_count 2",
    ):
        assert line in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == 7
