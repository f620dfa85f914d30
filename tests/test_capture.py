"""Capture reads exactly the asked rows, in any batching, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tests.tiny import cached_checkpoint
from torch import Tensor

from semhub.capture import States, capture, capture_all
from semhub.errors import ModelError, UsageError
from semhub.models import load
from semhub.models.base import Encoded, Inputs
from semhub.models.decoder import DecoderAdapter
from semhub.types import Content

TEXTS = [
    "three plus five",
    "a",
    "El río estaba frío y la casa es grande.",
    "河水很冷",
    "a",
    "one two three four",
]


@pytest.fixture
def adapter() -> DecoderAdapter:
    loaded = load(str(cached_checkpoint("llama")), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


@pytest.fixture
def encoded(adapter: DecoderAdapter) -> list[Encoded]:
    return adapter.encode([Content.of(text) for text in TEXTS])


def plain(adapter: DecoderAdapter, content: Encoded) -> Tensor:
    """Layers 0..L-1 by the library, one content at a time: [layer, position, d_model]."""
    with torch.no_grad():
        out = adapter.model(torch.tensor([content.ids]), output_hidden_states=True, use_cache=False)
    return torch.stack([states[0] for states in out.hidden_states[:-1]])


def n_hooks(adapter: DecoderAdapter) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in adapter.model.modules())


def test_asked_positions_in_content_order(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    asked = [[-1, 0], [0], [5, 2, 2, -1], [], [0], [1]]
    states = capture_all(adapter, encoded, asked, batch_tokens=40)
    expected = [
        (i, p % len(encoded[i].ids))
        for i, at in enumerate(asked)
        for p in sorted({p % len(encoded[i].ids) for p in at})
    ]
    assert list(zip(states.content.tolist(), states.position.tolist(), strict=True)) == expected
    assert states.values.dtype == torch.float32
    assert states.layers == tuple(range(adapter.n_layers + 1))
    for row, (content, position) in enumerate(expected):
        torch.testing.assert_close(
            states.values[:-1, row], plain(adapter, encoded[content])[:, position], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("layers", [[0], [2], [4], [0, 4], [3, 1, 3]])
def test_some_layers_are_the_same_rows(
    adapter: DecoderAdapter, encoded: list[Encoded], layers: list[int]
) -> None:
    every, some = capture_all(adapter, encoded), capture_all(adapter, encoded, layers=layers)
    assert some.layers == tuple(sorted(set(layers)))
    torch.testing.assert_close(some.values, every.values[list(some.layers)], rtol=0, atol=0)


def test_nothing_above_the_last_asked_layer_runs(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    ran = []
    handles = [
        block.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, block in enumerate(adapter.blocks)
    ]
    list(capture(adapter, encoded, layers=[1], batch_tokens=10_000))
    assert ran == [0]
    for handle in handles:
        handle.remove()


def test_unembedding_never_runs(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    adapter.model.get_output_embeddings().register_forward_hook(lambda *_: pytest.fail("the head ran"))
    adapter.forward(adapter.collate(encoded))
    capture_all(adapter, encoded, "all")


def test_batches_fit_the_budget_and_are_sorted(
    adapter: DecoderAdapter, encoded: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    right = adapter.collate

    def collate(batch: Sequence[Encoded], padding: str = "right") -> Inputs:
        inputs = right(batch, padding)
        shapes.append(tuple(inputs.ids.shape))
        return inputs

    monkeypatch.setattr(adapter, "collate", collate)
    parts = list(capture(adapter, encoded, batch_tokens=30))
    assert all(rows * width <= 30 or rows == 1 for rows, width in shapes)
    assert [width for _, width in shapes] == sorted((width for _, width in shapes), reverse=True)
    assert sorted(i for part in parts for i in part.content.tolist()) == list(range(len(TEXTS)))
    shapes.clear()
    list(capture(adapter, encoded, [[0]] * len(TEXTS), batch_tokens=30))
    assert shapes == [(6, 1)]  # a content is cut after its last asked position


BEGINNINGS = ["three", "three plus five equals", "three plus", "three plus six", "three plus five", "river"]


@pytest.mark.parametrize("batch_tokens", [1, 12, 4096])
def test_a_text_is_read_in_the_pass_of_one_that_begins_with_it(
    adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch, batch_tokens: int
) -> None:
    encoded = adapter.encode([Content.of(text) for text in BEGINNINGS])
    ids = [one.ids for one in encoded]
    begun = [sum(other[: len(one)] == one for other in ids) > 1 for one in ids]
    assert begun == [True, False, True, False, True, False]
    given: list[tuple[int, ...]] = []
    right = adapter.collate

    def collate(batch: Sequence[Encoded], padding: str = "right") -> Inputs:
        given.extend(one.ids for one in batch)
        return right(batch, padding)

    monkeypatch.setattr(adapter, "collate", collate)
    done: list[int] = []
    states = capture_all(adapter, encoded, batch_tokens=batch_tokens, progress=done.append)
    assert sorted(given) == sorted(one for one, other in zip(ids, begun, strict=True) if not other)
    assert done[-1] == len(BEGINNINGS)
    assert states.content.tolist() == list(range(len(BEGINNINGS)))
    assert states.position.tolist() == [len(one) - 1 for one in ids]
    for row, one in enumerate(encoded):
        torch.testing.assert_close(states.values[:-1, row], plain(adapter, one)[:, -1], rtol=1e-5, atol=1e-5)


def test_a_batch_has_no_more_rows_than_tokens(adapter: DecoderAdapter) -> None:
    """Equal contents that are read everywhere are no single row of a batch: callers size their work by its tokens."""
    (one,) = adapter.encode([Content.of("three plus five equals")])
    n = len(one.ids)
    parts = list(capture(adapter, [one] * 50, "all", batch_tokens=3 * n))
    assert [len(part.content) for part in parts] == [3 * n] * 16 + [2 * n]
    last = list(capture(adapter, [one] * 50, batch_tokens=3 * n))
    assert all(len(part.content) <= 3 * n for part in last)
    assert sorted(i for part in last for i in part.content.tolist()) == list(range(50))


def test_as_many_rows_as_tokens_need_not_be_all_of_them(adapter: DecoderAdapter) -> None:
    """Two readings of one pass with as many asked positions as it has: not its states in order."""
    long, short = adapter.encode([Content.of("three plus five equals"), Content.of("three plus")])
    n, k = len(long.ids), len(short.ids)
    assert long.ids[:k] == short.ids
    states = capture_all(adapter, [long, short], [list(range(k, n)), list(range(k))])
    assert states.position.tolist() == [*range(k, n), *range(k)]
    want = plain(adapter, long)
    for row, position in enumerate(states.position.tolist()):
        torch.testing.assert_close(states.values[:-1, row], want[:, position], rtol=1e-5, atol=1e-5)


def test_generator_stops_cleanly(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    before = n_hooks(adapter)
    stream = capture(adapter, encoded, batch_tokens=1)
    part = next(stream)
    assert n_hooks(adapter) == before
    assert not torch.is_inference_mode_enabled()
    part.values.mul_(2)  # the caller owns what it is given
    stream.close()  # type: ignore[attr-defined]
    assert n_hooks(adapter) == before
    assert adapter.running is None


def test_a_failing_model_leaves_no_hooks(
    adapter: DecoderAdapter, encoded: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = n_hooks(adapter)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("unrelated")

    monkeypatch.setattr(adapter.blocks[2].mlp, "forward", fail)
    with pytest.raises(RuntimeError, match="unrelated"):
        capture_all(adapter, encoded)
    assert n_hooks(adapter) == before
    assert adapter.running is None


class Narrow:
    """A device that holds only so many padded tokens."""

    def __init__(self, adapter: DecoderAdapter, room: int) -> None:
        self.forward, self.room, self.tried = adapter.forward, room, []  # type: ignore[var-annotated]

    def __call__(self, inputs: Inputs) -> None:
        self.tried.append(tuple(inputs.ids.shape))
        if inputs.ids.numel() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.forward(inputs)


def test_out_of_memory_halves_the_batch(
    adapter: DecoderAdapter, encoded: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    many, every = encoded * 5, capture_all(adapter, encoded * 5, "all")
    narrow = Narrow(adapter, 60)
    monkeypatch.setattr(adapter, "forward", narrow)
    done: list[int] = []
    found = capture_all(adapter, many, "all", batch_tokens=1000, progress=done.append)
    torch.testing.assert_close(found.values, every.values, rtol=1e-5, atol=1e-5)
    assert sum(rows * width > 60 for rows, width in narrow.tried) <= 5
    assert done == sorted(done)
    assert done[-1] == len(many)


def test_one_content_too_large_is_said_so(
    adapter: DecoderAdapter, encoded: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "forward", Narrow(adapter, 2))
    with pytest.raises(ModelError, match="out of memory on one content of"):
        capture_all(adapter, encoded)


@pytest.mark.parametrize(
    ("positions", "options"),
    [
        ("first", {}),
        ([[0]], {}),
        ([[99], [0], [0], [0], [0], [0]], {}),
        ([[-9], [-2], [0], [0], [0], [0]], {}),
        ("last", {"layers": [5]}),
        ("last", {"layers": [-1]}),
        ("last", {"layers": []}),
        ("last", {"batch_tokens": 0}),
    ],
)
def test_wrong_use_is_said_before_anything_runs(
    adapter: DecoderAdapter, encoded: list[Encoded], positions: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        capture(adapter, encoded, positions, **options)


def test_no_contents_is_no_rows(adapter: DecoderAdapter) -> None:
    assert capture_all(adapter, []).values.shape == (adapter.n_layers + 1, 0, adapter.d_model)
    assert list(capture(adapter, [])) == []


def test_the_same_call_gives_the_same_bytes(adapter: DecoderAdapter, encoded: list[Encoded]) -> None:
    def run() -> list[States]:
        return list(capture(adapter, encoded, "all", batch_tokens=50))

    for one, two in zip(run(), run(), strict=True):
        assert torch.equal(one.values, two.values)
        assert torch.equal(one.content, two.content)
