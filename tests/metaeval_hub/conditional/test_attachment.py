"""Adapters attached by hooks: the encoder stays its own, and no state is shared between passes."""

import copy
import pickle
import shutil
import threading

import pytest
import torch

from metaeval_hub.conditional.attachment import AttachedAdapter
from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.conditional.places import PLACES, can_repeat_inside
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from tests.metaeval_hub.conditional.encoders import CONFIGS, IDS, TASKS, encoder_of, perturb

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])


class Model(torch.nn.Module):
    """An encoder with its adapter, and a pass through both."""

    def __init__(self, model_type="bert", method="pilault"):
        super().__init__()
        self.encoder = encoder_of(model_type)
        self.adapter = AttachedAdapter(self.encoder, ConditionalConfig(method, adapter_size=4, dim_z=3), n_tasks=2)
        perturb(self)
        self.eval()

    def forward(self, ids=IDS, tasks=TASKS, mask=None, repeats=1):
        z = None if self.adapter.conditioning is None else self.adapter.conditioning(tasks)
        with self.adapter.active(self.encoder, z, repeats):
            return self.encoder(ids, attention_mask=mask).last_hidden_state


def test_every_supported_encoder_has_places():
    assert {*PLACES} == {*MODEL_TYPES} == {*CONFIGS}


@pytest.mark.parametrize("model_type", CONFIGS)
def test_the_encoder_computes_its_own_function_outside_of_a_pass(model_type):
    model, plain = Model(model_type), encoder_of(model_type)
    for mask in (None, MASK):
        expected = plain(IDS, attention_mask=mask).last_hidden_state
        assert not torch.allclose(model(mask=mask), expected)
        assert torch.equal(model.encoder(IDS, attention_mask=mask).last_hidden_state, expected)
    assert list(model.encoder.state_dict()) == list(plain.state_dict())
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())


@pytest.mark.parametrize("model_type", [kind for kind in CONFIGS if can_repeat_inside(encoder_of(kind))])
def test_a_repeated_batch_gives_what_each_task_gives_alone(model_type):
    model = Model(model_type).double()
    for ids, mask in ((IDS, MASK), (IDS, None), (IDS[:1], MASK[:1])):
        tasks = torch.arange(2).repeat_interleave(len(ids))
        together = model(ids, tasks, mask, repeats=2)
        for task, found in enumerate(together.chunk(2)):
            torch.testing.assert_close(found, model(ids, torch.tensor([task]), mask), rtol=1e-12, atol=1e-12)


def test_a_convolution_rules_out_repeating_at_the_first_adapter():
    encoder = encoder_of("deberta-v2")
    assert can_repeat_inside(encoder)
    encoder.config.conv_kernel_size = 3
    assert not can_repeat_inside(encoder)


def test_threads_do_not_share_a_task():
    model = Model()
    expected = [model(tasks=torch.tensor([task])) for task in (0, 1)]
    ready, wrong = threading.Barrier(4), []

    def work(task):
        ready.wait()
        with torch.inference_mode():
            for _ in range(20):
                if not torch.equal(model(tasks=torch.tensor([task])), expected[task]):
                    wrong.append(task)

    threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("model_type", CONFIGS)
def test_checkpointing_gives_the_same_gradients_in_another_thread_after_the_pass(model_type, reentrant):
    def gradients(checkpointing):
        model = Model(model_type)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.encoder.gradient_checkpointing_enable({"use_reentrant": reentrant})
        loss = model.train()(mask=MASK).pow(2).sum()
        model(tasks=torch.tensor([0]))  # another pass before the backward pass
        thread = threading.Thread(target=loss.backward)
        thread.start()
        thread.join()
        return [parameter.grad for parameter in model.adapter.parameters()]

    calls = []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: calls.append(1) if type(module).__name__ == "ModulatedInputAdapter" else None
    )
    found = gradients(True)
    handle.remove()
    assert len(calls) > 2 * 4  # two passes through 4 adapter layers, and some of the first pass once more
    assert all(torch.equal(one, other) for one, other in zip(found, gradients(False), strict=True))


@pytest.mark.parametrize("method", ["pilault", "layernorm", "mahabadi", "adapter"])
def test_copies_and_pickles_are_whole_and_independent(method):
    model = Model(method=method)
    expected = model()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(), expected)
        for parameter in other.adapter.parameters():
            parameter.data.zero_()
        assert not torch.equal(other(), expected)
        assert torch.equal(model(), expected)


@pytest.mark.parametrize(
    "model_type", ["bert", *(pytest.param(kind, marks=pytest.mark.slow) for kind in CONFIGS if kind != "bert")]
)
def test_dynamo_traces_a_pass_as_one_graph(model_type):
    model = Model(model_type)
    traced = torch.compile(model, backend="eager", fullgraph=True)
    for tasks in (TASKS, TASKS.flip(0)):
        assert torch.equal(traced(IDS, tasks), model(IDS, tasks))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a compiler")
def test_a_compiled_pass_has_the_values_and_gradients_of_a_plain_one():
    model = Model().train()
    compiled = torch.compile(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    results = []
    for call in (model, compiled):
        model.zero_grad()
        call(IDS, TASKS).pow(2).sum().backward()
        results.append([parameter.grad.clone() for parameter in model.adapter.parameters()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_an_encoder_takes_one_adapter():
    model = Model()
    with pytest.raises(ValueError, match="the encoder already has an adapter; load the encoder once per model"):
        AttachedAdapter(model.encoder, ConditionalConfig(adapter_size=4), n_tasks=1)


def test_encoders_of_unknown_types_are_refused():
    encoder = encoder_of()
    encoder.config.model_type = "t5"
    with pytest.raises(ValueError, match=r"encoders of type 't5' have no places for adapters; expected one of bert"):
        AttachedAdapter(encoder, ConditionalConfig(adapter_size=4), n_tasks=1)


def test_task_embeddings_of_the_wrong_shape_are_refused():
    model = Model()
    with (
        pytest.raises(ValueError, match=r"takes task_embeddings of shape \(B, 3\), got \(3, 5\)"),
        model.adapter.active(model.encoder, torch.zeros(3, 5)),
    ):
        pass
    with pytest.raises(ValueError, match="got 2 task embeddings for a batch of 3"):
        model(tasks=TASKS[:2])


def test_an_error_in_a_pass_ends_it():
    model, plain = Model(), encoder_of()
    with pytest.raises(IndexError):
        model(torch.tensor([[999]]), TASKS[:1])
    assert torch.equal(model.encoder(IDS).last_hidden_state, plain(IDS).last_hidden_state)
