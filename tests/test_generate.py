"""Rows of many prompts, strengths and edits in one batch give what each gives alone, without a cache, by plain code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from tests.tiny import FAMILIES, cached_checkpoint
from torch import Tensor

from semhub.capture import capture_all
from semhub.errors import UsageError
from semhub.generate import Sampling, continuation_logprobs, generate, next_logprobs
from semhub.models import load
from semhub.models.base import Encoded
from semhub.models.decoder import DecoderAdapter
from semhub.steer import Intervention, orthonormal, write
from semhub.types import Content

TEXTS = ["three plus five equals", "河水很冷", "a", "the old boat had gone home by then; tomorrow two horses"]
NEW = 5


@pytest.fixture(scope="module", params=FAMILIES)
def adapter(request: pytest.FixtureRequest) -> DecoderAdapter:
    loaded = load(str(cached_checkpoint(request.param)), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


@pytest.fixture(scope="module")
def llama() -> DecoderAdapter:
    loaded = load(str(cached_checkpoint("llama")), check=False)
    assert isinstance(loaded, DecoderAdapter)
    return loaded


def prompts(adapter: DecoderAdapter) -> list[Encoded]:
    found = adapter.encode([Content.of(text) for text in TEXTS])
    assert 1 in {len(one.ids) for one in found}
    return found


def interventions(adapter: DecoderAdapter, owner: Sequence[int], seed: int = 0) -> list[Intervention]:
    """Every kind, at several layers, with vectors and strengths that differ between the rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = len(owner)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    which = torch.randint(0, 3, (rows,), generator=generator)
    strength = torch.rand(rows, generator=generator) * 2
    width, some = adapter.d_model, [(-1,) if i % 2 else (0, -1) for i in range(rows)]
    return [
        Intervention(0, "add", random(3, width), which, strength, some),
        Intervention(1, "replace", random(3, width), which, strength / 4),
        Intervention(2, "ablate", random(3, 2, width), which, strength / 2, (0,)),
        Intervention(3, "project", random(3, 20, width), which, strength / 4, (), every_step=True),
        Intervention(4, "add", random(3, width), which, strength, every_step=True),
    ]


def alone(
    adapter: DecoderAdapter, prompt: Encoded, edits: Sequence[Intervention], row: int, ids: Sequence[int]
) -> Tensor:
    """Logits after prompt + ids of one row [vocab], float64 edits written out plainly, no cache, no padding."""
    length = len(prompt.ids)

    def editing(one: Intervention):  # type: ignore[no-untyped-def]
        def edit(states: Tensor, _: object) -> Tensor:
            h, s = states.double().clone(), float(one.strength[row])
            v = one.vectors[one.which[row]].double()
            places = list(dict.fromkeys(place % length for place in one.places(row)))  # each once
            places += range(length, h.shape[1]) if one.every_step else []
            for place in places:
                x = h[0, place]
                if one.how == "add":
                    h[0, place] = x + s * v
                elif one.how == "replace":
                    h[0, place] = (1 - s) * x + s * v
                else:
                    inside = v.T @ torch.linalg.pinv(v.T) @ x
                    h[0, place] = x - s * inside if one.how == "ablate" else (1 - s) * x + s * inside
            return h

        return edit

    whole = Encoded((*prompt.ids, *ids), ())
    with write(adapter, {one.layer: editing(one) for one in edits}):
        return adapter.logits(adapter.collate([whole]))[0, -1].float()


def test_the_past_is_used_by_every_family_that_has_one(adapter: DecoderAdapter) -> None:
    assert adapter.no_past() is not None


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_rows_are_what_they_are_alone(adapter: DecoderAdapter, batch_tokens: int) -> None:
    given, owner = prompts(adapter), [0, 1, 2, 3, 0, 3, 1, 0, 2]
    edits = interventions(adapter, owner)
    found = next_logprobs(adapter, given, owner, edits, batch_tokens=batch_tokens)
    said = generate(adapter, given, owner, edits, new_tokens=NEW, batch_tokens=batch_tokens)
    for row, prompt in enumerate(owner):
        ids: list[int] = []
        for step in range(NEW):
            logits = alone(adapter, given[prompt], edits, row, ids)
            if step == 0:
                torch.testing.assert_close(found[row], logits.log_softmax(-1), rtol=0, atol=1e-3)
            top = int(logits.argmax())
            if top in adapter.end_ids:
                break
            ids.append(top)
        assert said[row] == tuple(ids)


@pytest.mark.parametrize("place", [-1, 0])
def test_without_a_past_it_is_the_same(
    adapter: DecoderAdapter, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    given, owner = prompts(adapter), [3, 0, 0, 1, 2]
    vectors = torch.randn(1, adapter.d_model, generator=torch.Generator().manual_seed(3))
    strengths = torch.tensor([0.0, 1.0, 2.0, 1.0, 3.0])
    edits = [Intervention(2, "add", vectors, torch.zeros(5, dtype=torch.long), strengths, (place,))]
    cached = generate(adapter, given, owner, edits, new_tokens=NEW)
    monkeypatch.setattr(type(adapter), "no_past", lambda _: None)
    assert generate(adapter, given, owner, edits, new_tokens=NEW) == cached


def test_strength_zero_is_the_model_itself(adapter: DecoderAdapter) -> None:
    given = prompts(adapter)
    vectors = torch.full((1, adapter.d_model), 100.0)
    zero = Intervention(1, "add", vectors, torch.zeros(4, dtype=torch.long), torch.zeros(4))
    found = next_logprobs(adapter, given, range(4), [zero])
    assert torch.equal(found, next_logprobs(adapter, given, range(4)))
    for row, prompt in enumerate(given):
        own = adapter.logits(adapter.collate([prompt]))[0, -1].float().log_softmax(-1)
        torch.testing.assert_close(found[row], own, rtol=0, atol=2e-4)


def test_patching_all_of_a_layer_gives_the_source_run(llama: DecoderAdapter) -> None:
    """Interchange: the target's run goes on from the source's states."""
    source, target = (Encoded(one.ids[:3], ()) for one in prompts(llama)[::3])
    states = capture_all(llama, [source], "all", layers=[2]).values[0]
    patch = Intervention(2, "replace", states[None], torch.tensor([0]), torch.ones(1), (0, 1, 2))
    found = next_logprobs(llama, [target], [0], [patch])
    torch.testing.assert_close(found, next_logprobs(llama, [source], [0]), rtol=0, atol=1e-4)


def test_wanted_tokens_are_picked(llama: DecoderAdapter) -> None:
    tokens = torch.tensor([[5, 7], [9, -1]])
    found = next_logprobs(llama, prompts(llama), [0, 3], tokens=tokens)
    whole = next_logprobs(llama, prompts(llama), [0, 3])
    assert torch.equal(found[:, 0], whole[torch.arange(2), tokens[:, 0]])
    assert found[0, 1] == whole[0, 7]
    assert found[1, 1] == -torch.inf


def test_sampling_is_the_rows_own_and_follows_the_distribution(llama: DecoderAdapter) -> None:
    given = prompts(llama)
    sampling = Sampling(temperature=0.7, top_p=0.6, frequency_penalty=1.0)
    owner, seeds = [0, 1, 2, 3] * 3, list(range(12))
    together = generate(llama, given, owner, new_tokens=NEW, sampling=sampling, seeds=seeds)
    for row, prompt in enumerate(owner):
        single = generate(llama, given, [prompt], new_tokens=NEW, sampling=sampling, seeds=[seeds[row]])
        assert single == [together[row]]
    assert len({tokens for tokens, prompt in zip(together, owner, strict=True) if prompt == 0}) > 1


def test_a_draw_follows_temperature_top_p_and_penalty(llama: DecoderAdapter) -> None:
    """Frequencies of the second token against the distribution written out in float64."""
    given, n = prompts(llama)[:1], 3000
    sampling = Sampling(temperature=1.5, top_p=0.8, frequency_penalty=2.0)
    found = generate(
        llama, given, [0] * n, new_tokens=2, sampling=sampling, seeds=range(n), batch_tokens=10**6
    )
    pairs = [one for one in found if len(one) == 2]
    first = max({one[0] for one in pairs}, key=lambda token: sum(one[0] == token for one in pairs))
    second = [one[1] for one in pairs if one[0] == first]
    logits = llama.logits(llama.collate([Encoded((*given[0].ids, first), ())]))[0, -1].double()
    logits[first] -= 2.0
    p, order = (logits / 1.5).softmax(-1).sort(descending=True)
    size = int((p.cumsum(-1) < 0.8).sum()) + 1
    expected = torch.zeros_like(p)
    expected[order[:size]] = p[:size] / p[:size].sum()
    counts = torch.bincount(torch.tensor(second), minlength=len(p)).double()
    ended = sum(float(expected[token]) for token in llama.end_ids)
    assert counts[expected == 0].sum() == 0
    alive = expected / (1 - ended)
    distance = (counts / counts.sum() - alive).abs().sum() / 2
    assert distance < 3 * float(((alive > 0).sum() / len(second)) ** 0.5) / 2


def test_a_stop_ends_a_row_and_not_its_neighbours(llama: DecoderAdapter) -> None:
    given = prompts(llama)
    full = generate(llama, given, range(4), new_tokens=8)
    text = llama.continuation(given[0].ids, full[0])
    short = generate(llama, given, range(4), new_tokens=8, stop=lambda so_far: so_far == text[: len(so_far)])
    assert len(short[0]) == 1
    assert all(one == two[: len(one)] for one, two in zip(short, full, strict=True))
    never = generate(llama, given, range(4), new_tokens=8, stop=lambda _: False)
    assert never == full


def test_continuations_are_scored_token_by_token(llama: DecoderAdapter) -> None:
    before = [one.ids for one in prompts(llama)]
    after = [(5, 9, 11), (), (7,), (8, 8)]
    found = continuation_logprobs(llama, before, after, batch_tokens=12)
    for start, end, scores in zip(before, after, found, strict=True):
        assert len(scores) == len(end)
        for k, token in enumerate(end):
            whole = Encoded((*start, *end[:k]), ())
            own = llama.logits(llama.collate([whole]))[0, -1].double().log_softmax(-1)[token]
            assert float(scores[k]) == pytest.approx(float(own), abs=2e-4)


def test_text_after_a_prompt_keeps_its_space(llama: DecoderAdapter) -> None:
    whole = llama.encode([Content.of("three plus five")])[0].ids
    words = [llama.continuation(whole[:k], whole[k : k + 1]) for k in range(len(whole))]
    assert " five" in words
    assert "".join(words) == "three plus five"
    assert llama.continuation(whole, (2,)) == ""


def test_a_basis_is_orthonormal_and_spans_the_same() -> None:
    vectors = torch.randn(2, 3, 8, dtype=torch.float64)
    vectors[1, 2] = 2 * vectors[1, 0]
    basis = orthonormal(vectors).double()
    for given, found in zip(vectors, basis, strict=True):
        projector = given.T @ torch.linalg.pinv(given.T)
        torch.testing.assert_close(found.T @ found, projector, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer": 5}, "out of range"),
        ({"layer": -1}, "out of range"),
        ({"how": "multiply"}, "an edit is one of"),
        ({"vectors": torch.zeros(1, 3)}, "d_model"),
        ({"which": torch.tensor([1])}, "beyond"),
        ({"strength": torch.zeros(2)}, "one strength each"),
        ({"positions": (99,)}, "out of range"),
        ({"positions": (-99,)}, "out of range"),
        ({"vectors": torch.zeros(1, 2, 32)}, "as many vectors"),
        ({"vectors": torch.zeros(1, 1, 32), "every_step": True}, "generated tokens"),
    ],
)
def test_what_cannot_be_written_is_refused(
    llama: DecoderAdapter, change: dict[str, object], said: str
) -> None:
    settings = {"layer": 1, "how": "add", "vectors": torch.zeros(1, 32), "which": torch.tensor([0])}
    settings |= {"strength": torch.ones(1), **change}
    with pytest.raises(UsageError, match=said):
        next_logprobs(llama, prompts(llama), [0], [Intervention(**settings)])  # type: ignore[arg-type]


def test_a_prompt_beyond_the_positions_is_refused(llama: DecoderAdapter) -> None:
    with pytest.raises(UsageError, match="do not fit"):
        generate(llama, prompts(llama), [0], new_tokens=300)
    with pytest.raises(UsageError, match="as many seeds"):
        generate(llama, prompts(llama), [0], new_tokens=1, sampling=Sampling())
    with pytest.raises(UsageError, match="temperature"):
        Sampling(temperature=0)
    with pytest.raises(UsageError, match="top_p"):
        Sampling(top_p=float("nan"))
    with pytest.raises(UsageError, match="penalty"):
        Sampling(frequency_penalty=float("nan"))


def test_out_of_memory_halves_the_batch(llama: DecoderAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    given, owner = prompts(llama), [0] * 8
    edits = [
        Intervention(
            1, "add", torch.ones(1, llama.d_model), torch.zeros(8, dtype=torch.long), torch.arange(8.0)
        )
    ]
    whole = generate(llama, given, owner, edits, new_tokens=2)
    sizes: list[int] = []
    plain = type(llama).forward

    def limited(self, inputs, past=None):  # type: ignore[no-untyped-def]
        sizes.append(len(inputs.ids))
        if len(inputs.ids) > 2:
            raise torch.OutOfMemoryError("too much")
        plain(self, inputs, past)

    monkeypatch.setattr(type(llama), "forward", limited)
    assert generate(llama, given, owner, edits, new_tokens=2) == whole
    assert max(sizes) > 2


def test_rows_that_are_alike_are_run_once(llama: DecoderAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strength 0 is no edit, whatever the vector; another place, vector or strength is another row."""
    given, n = prompts(llama), 7
    owner = [0, 0, 0, 1, 0, 0, 0]
    vectors = torch.randn(2, llama.d_model, generator=torch.Generator().manual_seed(1))
    which, strength = torch.tensor([0, 1, 0, 0, 0, 1, 0]), torch.tensor([0.0, 0, 3, 0, 3, 3, 3])
    places = [(-1,)] * 6 + [(-2,)]
    edits = [Intervention(1, "add", vectors, which, strength, places)]
    tokens = torch.arange(2 * n).view(n, 2)
    single = [
        next_logprobs(
            llama,
            given,
            owner[i : i + 1],
            [Intervention(1, "add", vectors, which[i : i + 1], strength[i : i + 1], places[i : i + 1])],
            tokens=tokens[i : i + 1],
        )
        for i in range(n)
    ]
    sizes: list[int] = []
    plain = type(llama).forward

    def counted(self, inputs, past=None):  # type: ignore[no-untyped-def]
        sizes.append(len(inputs.ids))
        plain(self, inputs, past)

    monkeypatch.setattr(type(llama), "forward", counted)
    together = next_logprobs(llama, given, owner, edits, tokens=tokens)
    torch.testing.assert_close(together, torch.cat(single))
    assert max(sizes) == 5  # rows 0 and 1 are one, rows 2 and 4 are one
    said = generate(llama, given, owner, edits, new_tokens=3)
    assert said[0] == said[1]
    assert said[2] == said[4]


HALF = 0.25  # nat: bfloat16 keeps 8 bits, and a batch sums in another order than a row alone


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "bloom", "qwen3", "mixtral"])
def test_in_bfloat16_rows_stay_near_what_they_are_alone(family: str) -> None:
    half = load(str(cached_checkpoint(family)), check=False, dtype="bfloat16")
    assert isinstance(half, DecoderAdapter)
    given, owner = prompts(half), [0, 1, 2, 3, 0, 3]
    vectors = torch.randn(6, half.d_model, generator=torch.Generator().manual_seed(0))
    edits = [Intervention(2, "add", vectors, torch.arange(6), torch.linspace(0, 20, 6))]
    together = next_logprobs(half, given, owner, edits)
    assert float((together[0] - together[4]).abs().max()) > HALF, "the same prompt at two strengths"
    for row, prompt in enumerate(owner):
        one = [
            Intervention(
                2, "add", vectors[row : row + 1], torch.tensor([0]), edits[0].strength[row : row + 1]
            )
        ]
        alone_here = next_logprobs(half, given, [prompt], one)[0]
        likely = alone_here > -10  # what is rarer is rounded coarser
        assert float((together[row] - alone_here)[likely].abs().max()) < HALF
