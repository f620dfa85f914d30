"""SALMONN's own stages once more, plainly: float64, loops, the published names, nothing of our code or a library's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Weights = Mapping[str, Array]


def arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def norm(x: Array, weights: Weights, name: str, eps: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return np.asarray(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def linear(x: Array, weights: Weights, name: str) -> Array:
    return np.asarray(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))))


def softmax(x: Array) -> Array:
    raised = np.exp(x - x.max())
    return np.asarray(raised / raised.sum())


def fbank(samples: NDArray[np.float32], mels: int = 128) -> Array:
    """Kaldi's filter banks, frame by frame: the discrete Fourier transform by its definition."""
    rate, length, shift, size = 16_000, 400, 160, 512
    wave = [float(one) * 32768.0 for one in samples]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(length)) / size)
    low, high = 1127 * math.log(1 + 20 / 700), 1127 * math.log(1 + rate / 2 / 700)
    step = (high - low) / (mels + 1)
    rows = []
    for start in range(0, len(wave) - length + 1, shift):
        frame = wave[start : start + length]
        mean = sum(frame) / length
        frame = [one - mean for one in frame]
        flat = [frame[0] - 0.97 * frame[0]] + [frame[i] - 0.97 * frame[i - 1] for i in range(1, length)]
        povey = [(0.5 - 0.5 * math.cos(2 * math.pi * i / (length - 1))) ** 0.85 for i in range(length)]
        spectrum = turns @ np.array([one * window for one, window in zip(flat, povey, strict=True)])
        power = spectrum.real**2 + spectrum.imag**2
        row = []
        for index in range(mels):
            left, centre, right = (low + (index + i) * step for i in range(3))
            energy = 0.0
            for k in range(size // 2):
                mel = 1127 * math.log(1 + k * rate / size / 700)
                if left < mel <= centre:
                    energy += power[k] * (mel - left) / (centre - left)
                elif centre < mel < right:
                    energy += power[k] * (right - mel) / (right - centre)
            row.append(math.log(max(energy, 1.1920928955078125e-07)))
        rows.append(row)
    return (np.array(rows).reshape(-1, mels) - 15.41663) / (2 * 6.55582)


def bucket(distance: int, n_buckets: int, max_distance: int) -> int:
    """distance: how far the key lies after the query."""
    half = n_buckets // 2
    start, apart, exact = (half if distance > 0 else 0), abs(distance), half // 2
    if apart < exact:
        return start + apart
    share = math.log(apart / exact) / math.log(max_distance / exact)
    return start + min(exact + int(share * (half - exact)), half - 1)


def beats(weights: Weights, cfg: Mapping[str, Any], banks: Array) -> list[Array]:
    """banks [frame, mel] -> what enters the first layer and what every layer gives, each [position, width]."""
    size, bands = cfg["input_patch_size"], banks.shape[1] // cfg["input_patch_size"]
    patches = []
    for stretch in range(len(banks) // size):
        for band in range(bands):
            patch = banks[stretch * size : (stretch + 1) * size, band * size : (band + 1) * size]
            patches.append([float((patch * kernel[0]).sum()) for kernel in weights["patch_embedding.weight"]])
    x = linear(norm(np.array(patches), weights, "layer_norm", 1e-5), weights, "post_extract_proj")
    x = norm(x + gelu(_near(weights, cfg, x)), weights, "encoder.layer_norm", 1e-5)
    states = [x]
    for layer in range(cfg["encoder_layers"]):
        states.append(_layer(weights, cfg, f"encoder.layers.{layer}.", states[-1]))
    return states


def _near(weights: Weights, cfg: Mapping[str, Any], x: Array) -> Array:
    size, direction = weights["encoder.pos_conv.0.weight_g"], weights["encoder.pos_conv.0.weight_v"]
    kernel, share = cfg["conv_pos"], x.shape[1] // cfg["conv_pos_groups"]
    normed = np.empty_like(direction)
    for k in range(kernel):
        normed[:, :, k] = (
            size[0, 0, k] * direction[:, :, k] / math.sqrt(float((direction[:, :, k] ** 2).sum()))
        )
    near = np.zeros_like(x)
    for t in range(len(x)):
        for channel in range(x.shape[1]):
            first = channel // share * share
            total = weights["encoder.pos_conv.0.bias"][channel]
            for k in range(kernel):
                if 0 <= t + k - kernel // 2 < len(x):
                    total += normed[channel, :, k] @ x[t + k - kernel // 2, first : first + share]
            near[t, channel] = total
    return near


def _layer(weights: Weights, cfg: Mapping[str, Any], start: str, x: Array) -> Array:
    attention, heads = f"{start}self_attn.", cfg["encoder_attention_heads"]
    alpha = (2 * cfg["encoder_layers"]) ** 0.25 if cfg["deep_norm"] else 1.0
    table = weights["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    q, k, v = (linear(x, weights, f"{attention}{name}_proj") for name in "qkv")
    width = x.shape[1] // heads
    out = np.zeros_like(x)
    sigmoid = lambda value: 1 / (1 + math.exp(-value))  # noqa: E731
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for query in range(len(x)):
            gates = linear(q[query, part], weights, f"{attention}grep_linear")
            one, other = sigmoid(gates[:4].sum()), sigmoid(gates[4:].sum())
            gate = one * (other * weights[f"{attention}grep_a"][0, head, 0, 0] - 1) + 2
            bias = [
                table[bucket(key - query, cfg["num_buckets"], cfg["max_distance"]), head]
                for key in range(len(x))
            ]
            scores = k[:, part] @ q[query, part] / math.sqrt(width) + gate * np.array(bias)
            out[query, part] = softmax(scores) @ v[:, part]
    x = norm(
        alpha * x + linear(out, weights, f"{attention}out_proj"),
        weights,
        f"{start}self_attn_layer_norm",
        1e-5,
    )
    inner = linear(gelu(linear(x, weights, f"{start}fc1")), weights, f"{start}fc2")
    return norm(alpha * x + inner, weights, f"{start}final_layer_norm", 1e-5)


def windows(speech: Array, audio: Array, kernel: int, stride: int) -> list[Array]:
    """Each [position, width] -> windows [position of the window, both widths]."""
    length = max(len(speech), len(audio))
    joined = np.zeros((length, speech.shape[1] + audio.shape[1]))
    joined[: len(speech), : speech.shape[1]] = speech
    joined[: len(audio), speech.shape[1] :] = audio
    return [joined[start : start + kernel] for start in range(0, length - kernel + 1, stride)]


def qformer(weights: Weights, heads: int, window: Array) -> Array:
    """What one window says to the llama: [query, d_model]."""
    start = "speech_Qformer.bert."
    x = norm(weights["speech_query_tokens"][0], weights, f"{start}embeddings.LayerNorm", 1e-12)
    for layer in range(2):
        block = f"{start}encoder.layer.{layer}."
        x = _attend(weights, f"{block}attention.", heads, x, x)
        x = _attend(weights, f"{block}crossattention.", heads, x, window)
        inner = gelu(linear(x, weights, f"{block}intermediate_query.dense"))
        fed = linear(inner, weights, f"{block}output_query.dense")
        x = norm(x + fed, weights, f"{block}output_query.LayerNorm", 1e-12)
    return linear(x, weights, "speech_llama_proj")


def _attend(weights: Weights, start: str, heads: int, x: Array, seen: Array) -> Array:
    q = linear(x, weights, f"{start}self.query")
    k, v = (linear(seen, weights, f"{start}self.{name}") for name in ("key", "value"))
    width = x.shape[1] // heads
    out = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for query in range(len(x)):
            out[query, part] = softmax(k[:, part] @ q[query, part] / math.sqrt(width)) @ v[:, part]
    return norm(linear(out, weights, f"{start}output.dense") + x, weights, f"{start}output.LayerNorm", 1e-12)
