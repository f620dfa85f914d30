"""Directions against states read by plain hooks; their files, and hostile ones in their place."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.tiny import cached_checkpoint

from semhub.directions import FORMAT, Directions, from_texts, from_words
from semhub.errors import DataError, UsageError
from semhub.gguf import MAX_BYTES, control_vector_bytes, read_control_vector
from semhub.models import load
from semhub.models.decoder import DecoderAdapter

ADD, SUB = ["three plus five", "the old boat"], ["two brown horses", "the river was cold and the old"]


@pytest.fixture(scope="module")
def adapter() -> DecoderAdapter:
    loaded = load(str(cached_checkpoint("llama")), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def plain_states(adapter: DecoderAdapter, text: str, position: int) -> torch.Tensor:
    """[layer, d_model] from the model itself, with hooks of our own."""
    kept: list[torch.Tensor] = []
    layers = adapter.model.model.layers
    hooks = [layers[0].register_forward_pre_hook(lambda _, args: kept.append(args[0]))]
    hooks += [layer.register_forward_hook(lambda *given: kept.append(given[2])) for layer in layers]
    ids = torch.tensor([adapter.tokens.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        adapter.model(ids)
    for hook in hooks:
        hook.remove()
    return torch.stack([states[0, position] for states in kept])


@pytest.mark.parametrize("position", [-1, 1])
def test_texts_give_the_difference_of_their_mean_states(adapter: DecoderAdapter, position: int) -> None:
    found = from_texts(adapter, ADD, SUB, position=position)
    sides = [torch.stack([plain_states(adapter, text, position) for text in side]) for side in (ADD, SUB)]
    torch.testing.assert_close(found.vectors, (sides[0] - sides[1]).mean(dim=0), rtol=1e-4, atol=1e-4)
    assert found.layers == (0, 1, 2, 3, 4)
    one = from_texts(adapter, ADD[0], SUB[0], position=position, layers=[3, 1])
    assert one.layers == (1, 3)
    torch.testing.assert_close(one.vectors, (sides[0] - sides[1])[0, [1, 3]], rtol=1e-4, atol=1e-4)


def test_one_side_may_be_left_out(adapter: DecoderAdapter) -> None:
    plus, minus = from_texts(adapter, ADD[0]), from_texts(adapter, sub=ADD[0])
    torch.testing.assert_close(plus.vectors, plain_states(adapter, ADD[0], -1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(plus.vectors, -minus.vectors)


def test_words_give_the_difference_of_their_mean_rows(adapter: DecoderAdapter) -> None:
    found = from_words(adapter, "old", ["the", "five"])
    weight = adapter.model.lm_head.weight.detach()
    rows = {word: weight[list(adapter.word_forms(word))].mean(dim=0) for word in ("old", "the", "five")}
    assert any(len(adapter.word_forms(word)) > 1 for word in rows)
    expected = rows["old"] - (rows["the"] + rows["five"]) / 2
    torch.testing.assert_close(found.vectors, expected.expand(5, -1))
    assert json.loads(found.provenance["sub"]) == ["the", "five"]


def test_sized_changes_the_length_alone(adapter: DecoderAdapter) -> None:
    raw = from_words(adapter, "old", "the")
    sized = raw.sized(torch.arange(5.0))
    torch.testing.assert_close(sized.vectors.norm(dim=-1), torch.arange(5.0))
    cosine = torch.nn.functional.cosine_similarity(sized.vectors[1:], raw.vectors[1:])
    torch.testing.assert_close(cosine, torch.ones(4))


@pytest.mark.parametrize(
    ("add", "sub", "error", "what"),
    [
        (None, None, UsageError, "something to add"),
        ([], [], UsageError, "something to add"),
        ("", "x", DataError, "not empty"),
        (["five", " "], "x", DataError, "not empty"),
        ("a\udcff", "x", DataError, "not valid Unicode"),
    ],
)
def test_nothing_to_make_a_direction_of(
    adapter: DecoderAdapter, add: object, sub: object, error: type[Exception], what: str
) -> None:
    for build in (from_texts, from_words):
        with pytest.raises(error, match=what):
            build(adapter, add, sub)  # type: ignore[operator]


def test_a_word_that_is_no_single_token_is_named(adapter: DecoderAdapter) -> None:
    with pytest.raises(UsageError, match="'xylophone' is no single token"):
        from_words(adapter, "old", ["the", "xylophone"])


def test_layers_and_positions_out_of_range(adapter: DecoderAdapter) -> None:
    with pytest.raises(UsageError, match="position 40 is out of range"):
        from_texts(adapter, ADD, position=40)
    with pytest.raises(UsageError, match="layer 5 is out of range"):
        from_texts(adapter, ADD, layers=[5])


@pytest.mark.parametrize(("suffix", "layers"), [("safetensors", (0, 1, 2, 3, 4)), ("gguf", (2, 3, 4))])
def test_a_file_gives_back_what_was_saved(
    adapter: DecoderAdapter, tmp_path: Path, suffix: str, layers: tuple[int, ...]
) -> None:
    made = from_texts(adapter, ["a \u202e“quoted”\n", "x"], "河水")
    path = tmp_path / f"direction.{suffix}"
    made.save(path)
    found = Directions.load(path)
    assert found.layers == layers
    assert torch.equal(found.vectors, made.vectors[list(layers)])
    assert {key: found.provenance[key] for key in made.provenance} == made.provenance
    assert found.provenance["weights_sha256"] == adapter.weights_sha256()
    assert found.provenance["position"] == "-1"
    assert json.loads(found.provenance["add"]) == ["a \u202e“quoted”\n", "x"]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_safetensors_file_is_an_ordinary_one(adapter: DecoderAdapter, tmp_path: Path) -> None:
    from_texts(adapter, "x", layers=[2]).save(tmp_path / "d.safetensors")
    with safe_open(tmp_path / "d.safetensors", framework="np") as file:
        assert list(file.keys()) == ["vectors"]
        assert file.get_tensor("vectors").shape == (1, 32)
        assert file.metadata()["layers"] == "2"


def test_the_gguf_file_byte_by_byte(tmp_path: Path) -> None:
    """Layer 3 is the output of the third block, which repeng and llama.cpp call 2."""
    vectors = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]])
    Directions(vectors, (1, 3, 4), {"architecture": "LlamaForCausalLM"}).save(tmp_path / "v.gguf")

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, 2, 4)
    head += text("general.architecture") + struct.pack("<I", 8) + text("controlvector")
    head += text("controlvector.model_hint") + struct.pack("<I", 8) + text("llama")
    head += text("controlvector.layer_count") + struct.pack("<II", 4, 2)
    head += text("semhub.architecture") + struct.pack("<I", 8) + text("LlamaForCausalLM")
    head += text("direction.2") + struct.pack("<IQIQ", 1, 2, 0, 0)
    head += text("direction.3") + struct.pack("<IQIQ", 1, 2, 0, 32)
    head += b"\0" * (-len(head) % 32)
    data = struct.pack("<2f", 1, 2) + b"\0" * 24 + struct.pack("<2f", 3, 4) + b"\0" * 24
    assert (tmp_path / "v.gguf").read_bytes() == head + data


def gguf(keys: bytes, n_keys: int, tensors: bytes, n_tensors: int, data: bytes, alignment: int = 32) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys) + keys + tensors
    return head + b"\0" * (-len(head) % alignment) + data


def named(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


KEYS = named("general.architecture") + struct.pack("<I", 8) + named("controlvector")
KEYS += named("controlvector.model_hint") + struct.pack("<I", 8) + named("llama")


def tensor(name: str = "direction.1", width: int = 2, kind: int = 0, offset: int = 0) -> bytes:
    return named(name) + struct.pack("<IQIQ", 1, width, kind, offset)


def test_a_gguf_of_others_is_read_with_what_it_holds_besides(tmp_path: Path) -> None:
    """Keys of every type, an alignment of its own, blocks in any order, a tensor that is no direction."""
    keys = KEYS + named("controlvector.layer_count") + struct.pack("<Ii", 5, 2)
    keys += named("a") + struct.pack("<IIQ3H", 9, 2, 3, 1, 2, 3)
    keys += named("b") + struct.pack("<IIQ", 9, 8, 2) + named("x") + named("yz")
    keys += named("c") + struct.pack("<Id", 12, 0.5) + named("d") + struct.pack("<I?", 7, True)
    keys += named("general.alignment") + struct.pack("<II", 4, 64)
    tensors = tensor("direction.5", offset=64) + tensor("other", 1, 3) + tensor("direction.0")
    data = struct.pack("<2f", 1, 2) + b"\0" * 56 + struct.pack("<2f", 3, 4)
    (tmp_path / "v.gguf").write_bytes(gguf(keys, 8, tensors, 3, data, 64))
    found = Directions.load(tmp_path / "v.gguf")
    assert found.layers == (1, 6)
    assert found.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert found.provenance["model_hint"] == "llama"


ARRAY = named("a") + struct.pack("<I", 9)
HOSTILE_GGUF = {
    "empty": (b"", "begin with 'GGUF'|too early"),
    "magic": (b"GGML" + b"\0" * 40, "begin with 'GGUF'"),
    "ten bytes": (b"GGUF\3\0\0\0\0\0", "too early"),
    "big endian": (b"GGUF" + struct.pack(">IQQ", 3, 1, 1), "version is 50331648"),
    "2^60 tensors": (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "1152921504606846976 tensors"),
    "2^60 keys": (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "1152921504606846976 keys"),
    "4096 keys and none": (b"GGUF" + struct.pack("<IQQ", 3, 1, 4096), "too early"),
    "2^63 letters": (b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**63), "too early"),
    "no utf-8": (gguf(struct.pack("<Q", 1) + b"\xff", 1, b"", 0, b""), "utf-8"),
    "array of 2^62": (gguf(ARRAY + struct.pack("<IQ", 10, 2**62), 1, b"", 0, b""), "too early"),
    "2^40 strings": (gguf(ARRAY + struct.pack("<IQ", 8, 2**40), 1, b"", 0, b""), "array of 1099511627776"),
    "array of arrays": (
        gguf(ARRAY + struct.pack("<IQ", 9, 1), 1, b"", 0, b""),
        "array of 1 values of type 9",
    ),
    "unknown type": (gguf(named("a") + struct.pack("<I", 99), 1, b"", 0, b""), "unknown type 99"),
    "twice a key": (gguf(KEYS + KEYS, 4, b"", 0, b""), "is there twice"),
    "alignment 0": (
        gguf(named("general.alignment") + struct.pack("<II", 4, 0), 1, b"", 0, b""),
        "alignment is 0",
    ),
    "a model": (
        gguf(KEYS.replace(b"controlvector", b"llama--------"), 2, b"", 0, b""),
        "not 'controlvector'",
    ),
    "no hint": (gguf(KEYS[: KEYS.index(named("controlvector.model_hint"))], 1, b"", 0, b""), "model_hint"),
    "no direction": (gguf(KEYS, 2, tensor("other"), 1, b"\0" * 8), "no tensor direction"),
    "2^61 wide": (gguf(KEYS, 2, tensor(width=2**61), 1, b"\0" * 8), "beyond the file's end"),
    "far offset": (gguf(KEYS, 2, tensor(offset=2**63), 1, b"\0" * 8), "beyond the file's end"),
    "cut off": (gguf(KEYS, 2, tensor(width=3), 1, b"\0" * 8), "beyond the file's end"),
    "no numbers": (gguf(KEYS, 2, tensor(width=0), 1, b"\0" * 8), "not d_model float32"),
    "half precision": (gguf(KEYS, 2, tensor(kind=1), 1, b"\0" * 8), "not d_model float32"),
    "many dimensions": (gguf(KEYS, 2, named("direction.1") + struct.pack("<I", 2**31), 1, b""), "dimensions"),
    "twice a tensor": (gguf(KEYS, 2, tensor() * 2, 2, b"\0" * 8), "is there twice"),
    "two widths": (gguf(KEYS, 2, tensor() + tensor("direction.2", 1), 2, b"\0" * 8), "one length"),
    "NaN": (gguf(KEYS, 2, tensor(), 1, struct.pack("<2f", 1, float("nan"))), "NaN"),
}


@pytest.mark.parametrize("name", HOSTILE_GGUF)
def test_a_hostile_gguf_is_one_clear_error_at_once(name: str, tmp_path: Path) -> None:
    raw, what = HOSTILE_GGUF[name]
    path = tmp_path / "v.gguf"
    path.write_bytes(raw)
    start = time.perf_counter()
    with pytest.raises(DataError, match=what) as caught:
        Directions.load(path)
    assert time.perf_counter() - start < 1
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_gguf_is_refused(tmp_path: Path) -> None:
    whole = control_vector_bytes({1: np.ones(3, np.float32), 2: np.ones(3, np.float32)}, "llama", {"k": "v"})
    path = tmp_path / "v.gguf"
    for size in range(len(whole) - 32 + 12):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError):
            read_control_vector(path)
    path.write_bytes(whole)
    assert list(read_control_vector(path)[0]) == [1, 2]


VECTORS = torch.ones(2, 4)
GOOD = {"format": FORMAT, "layers": "1,2"}
HOSTILE_TENSORS = {
    "no metadata": ({"vectors": VECTORS}, None, "not directions that semhub saved"),
    "other keys": ({"weights": VECTORS}, GOOD, "holds 'weights'"),
    "more keys": ({"vectors": VECTORS, "more": VECTORS + 1}, GOOD, "'more'"),
    "other format": ({"vectors": VECTORS}, {**GOOD, "format": "x"}, "not directions"),
    "layers of words": ({"vectors": VECTORS}, {**GOOD, "layers": "1,x"}, "no list of numbers"),
    "a huge layer": ({"vectors": VECTORS}, {**GOOD, "layers": "1," + "9" * 5000}, "no list of numbers"),
    "too few layers": ({"vectors": VECTORS}, {**GOOD, "layers": "1"}, "as many layers"),
    "one layer twice": ({"vectors": VECTORS}, {**GOOD, "layers": "1,1"}, "as many layers"),
    "NaN": ({"vectors": VECTORS * float("nan")}, GOOD, "NaN"),
    "infinity": ({"vectors": VECTORS * float("inf")}, GOOD, "infinity"),
    "double": ({"vectors": VECTORS.double()}, GOOD, "float32"),
    "three axes": ({"vectors": VECTORS[None]}, GOOD, "float32"),
    "nothing": ({"vectors": torch.ones(0, 4)}, GOOD, "float32"),
}


@pytest.mark.parametrize("name", HOSTILE_TENSORS)
def test_a_wrong_safetensors_file(name: str, tmp_path: Path) -> None:
    tensors, metadata, what = HOSTILE_TENSORS[name]
    path = tmp_path / "d.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(DataError, match=what) as caught:
        Directions.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"\xff" * 64, struct.pack("<Q", 2**60), struct.pack("<Q", 2) + b"[]", b"PK\3\4" * 9,
     struct.pack("<Q", 20000) + b"[" * 20000],
    ids=["empty", "one byte", "ones", "2^60 header", "list", "pickle", "deep"],
)  # fmt: skip
def test_bytes_that_are_no_safetensors(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="no safetensors file"):
        Directions.load(path)


@pytest.mark.parametrize("suffix", ["safetensors", "gguf"])
def test_what_is_no_file(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        Directions.load(tmp_path / f"missing.{suffix}")
    (tmp_path / f"folder.{suffix}").mkdir()
    with pytest.raises(DataError, match="is no file"):
        Directions.load(tmp_path / f"folder.{suffix}")
    with (tmp_path / f"large.{suffix}").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="more than 256 MiB"):
        Directions.load(tmp_path / f"large.{suffix}")
    with pytest.raises(DataError, match=r"\.safetensors or \.gguf"):
        Directions.load(tmp_path / f"{suffix}.npy")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    made = Directions(VECTORS, (0, 1), {})
    with pytest.raises(UsageError, match=r"\.safetensors or \.gguf"):
        made.save(tmp_path / "d.npy")
    with pytest.raises(UsageError, match="cannot write"):
        made.save(tmp_path / "missing" / "d.safetensors")
    with pytest.raises(UsageError, match="layer 2 and above"):
        made.save(tmp_path / "d.gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_direction_for_another_model_is_refused_at_use(adapter: DecoderAdapter) -> None:
    with pytest.raises(UsageError, match="has 4 dimensions, llama has 32"):
        Directions(VECTORS, (1, 2), {}).at(1, adapter)
    with pytest.raises(UsageError, match="no layer 3; there are 1, 2"):
        Directions(torch.ones(2, 32), (1, 2), {}).at(3, adapter)
