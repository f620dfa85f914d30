"""BEATs against a plain float64 reference from the published tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.models.salmonnparts import CFG, beats_file, clip
from tests.models.salmonnplain import arrays, beats, bucket
from torch import Tensor
from torch.nn.functional import pad

from semhub.models.beats import BeatsConfig, BeatsModel, buckets
from semhub.models.filterbanks import filter_banks
from semhub.models.salmonn_weights import unnormed


def config(**changes: Any) -> BeatsConfig:
    known = {name: value for name, value in CFG.items() if name in BeatsConfig.__annotations__}
    return BeatsConfig(**{**known, **changes})


def fold(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> the model's, the weight norm folded by torch's own."""
    folded = {
        name: tensor for name, tensor in tensors.items() if "relative" not in name and "predictor" not in name
    }
    size, direction = (folded.pop(f"encoder.pos_conv.0.weight_{letter}") for letter in "gv")
    folded["encoder.pos_conv.0.weight"] = torch._weight_norm(direction, size, 2)
    table = tensors["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    return {**folded, "encoder.relative_attention_bias.weight": table}


@pytest.fixture(scope="module")
def saved() -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = beats_file()["model"]
    return tensors


def read(tensors: dict[str, Tensor], **changes: Any) -> BeatsModel:
    model = BeatsModel(config(**changes)).double().eval()
    model.load_state_dict(fold(tensors))
    return model


def banks(seconds: float, seed: int = 0) -> Tensor:
    return torch.from_numpy(filter_banks(clip(seconds, seed))).double()


@pytest.mark.parametrize("deep_norm", [True, False])
def test_every_layer_is_as_published(saved: dict[str, Tensor], deep_norm: bool) -> None:
    model, heard = read(saved, deep_norm=deep_norm), banks(1.3)
    seen: list[Tensor] = []
    model.encoder.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for layer in model.encoder.layers:
        layer.register_forward_hook(lambda _, given, returned: seen.append(returned))
    with torch.no_grad():
        states, held = model(heard[None], torch.tensor([len(heard)]))
    wanted = beats(arrays(saved), {**CFG, "deep_norm": deep_norm}, heard.numpy())
    assert bool(held.all())
    assert states.shape[1] == len(heard) // 16 * 8
    assert len(wanted) == len(seen) == 4
    for found, plain in zip([*seen, states], [*wanted, wanted[-1]], strict=True):
        np.testing.assert_allclose(found[0].numpy(), plain, rtol=0, atol=1e-9)
    assert np.abs(wanted[-1] - wanted[-1].mean(0)).mean() > 0.01  # positions differ


def test_the_gate_reads_the_query(saved: dict[str, Tensor]) -> None:
    """Without gates, and with gates of other heads, the states are others."""
    heard = banks(1.0)
    wanted = beats(arrays(saved), CFG, heard.numpy())[-1]
    for name in ("grep_linear.weight", "grep_a"):
        changed = {
            **saved,
            f"encoder.layers.1.self_attn.{name}": saved[f"encoder.layers.1.self_attn.{name}"].flip(1),
        }
        states, _ = read(changed)(heard[None], torch.tensor([len(heard)]))
        assert np.abs(states[0].detach().numpy() - wanted).max() > 1e-4


def test_a_sound_is_read_as_it_is_alone(saved: dict[str, Tensor]) -> None:
    model, heard = read(saved), [banks(1.0 + 0.37 * seed, seed) for seed in (3, 0, 2, 3)]
    longest = max(map(len, heard))
    batch = torch.stack([pad(one, (0, 0, 0, longest - len(one)), value=7.0) for one in heard])
    with torch.no_grad():
        states, held = model(batch, torch.tensor([len(one) for one in heard]))
        for row, one in enumerate(heard):
            alone, _ = model(one[None], torch.tensor([len(one)]))
            n = alone.shape[1]
            assert int(held[row].sum()) == n == len(one) // 16 * 8
            torch.testing.assert_close(states[row, :n], alone[0], rtol=0, atol=1e-12)
            assert not states[row, n:].any()


def test_an_incomplete_last_patch_is_dropped(saved: dict[str, Tensor]) -> None:
    model, heard = read(saved), banks(1.0)[:95]
    whole, _ = model(heard[None], torch.tensor([95]))
    cut, _ = model(heard[None, :80], torch.tensor([80]))
    assert torch.equal(whole, cut)


def test_a_sound_shorter_than_a_patch_has_no_position(saved: dict[str, Tensor]) -> None:
    heard = banks(1.0)[None, :32].expand(2, -1, -1)
    states, held = read(saved)(heard, torch.tensor([15, 32]))
    assert held.sum(1).tolist() == [0, 16]
    assert not states[0].any()


def test_fifty_positions_a_second() -> None:
    assert BeatsConfig().n_positions(2998) == 1496
    assert BeatsConfig().n_positions(998) == 496


@pytest.mark.parametrize(("n_buckets", "farthest"), [(320, 800), (320, 1280), (32, 60)])
def test_buckets_of_distances(n_buckets: int, farthest: int) -> None:
    sizes = BeatsConfig(num_buckets=n_buckets, max_distance=farthest)
    distances = torch.arange(-1500, 1501)
    found = buckets(distances, sizes)
    wanted = torch.tensor([bucket(int(one), n_buckets, farthest) for one in distances])
    assert torch.equal(found, wanted)
    assert (
        found.unique().numel() == n_buckets - 1
    )  # the key at the query's own place comes from one side only


def test_relative_bias_is_the_tables_row_for_the_distance(saved: dict[str, Tensor]) -> None:
    model = read(saved)
    bias = model.encoder.bias(20)
    table = saved["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    for query, key in ((0, 0), (3, 5), (5, 3), (0, 19), (19, 0)):
        assert torch.equal(bias[0, :, query, key], table[bucket(key - query, 32, 60)])


def test_weight_norm_is_folded_at_reading(saved: dict[str, Tensor]) -> None:
    found = unnormed(saved, "encoder.pos_conv.0.weight")
    torch.testing.assert_close(found, fold(saved)["encoder.pos_conv.0.weight"], rtol=0, atol=1e-14)


def test_it_can_be_trained(saved: dict[str, Tensor]) -> None:
    model, heard = read(saved), torch.stack([banks(1.0), banks(1.0, 1)])
    states, _ = model(heard, torch.tensor([98, 60]))
    states.square().sum().backward()
    assert all(
        weight.grad is not None and bool(weight.grad.any())
        for name, weight in model.named_parameters()
        if "k_proj.bias" not in name
    )


def test_gates_begin_at_one() -> None:
    with torch.device("meta"):
        model = BeatsModel(config())
    attention = model.to_empty(device="cpu").encoder.layers[1].self_attn
    attention.grep_a.data.fill_(5)
    model._init_weights(attention)
    assert bool((attention.grep_a == 1).all())
