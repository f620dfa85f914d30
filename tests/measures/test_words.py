"""From words to tokens on a byte-level tokenizer: positions, forms, reasons for dropping, random words, strata."""

from __future__ import annotations

import numpy as np
import pytest
from tests.measures import model

from semhub.measures.words import frequency_strata, locate, make_ready
from semhub.types import Content, Kept, LensCase, LensSet

WORDS = {"dominant": ("five",), "surface": ("5",)}


def lens_set(*cases: LensCase, given: int | None = None, dropped: dict[str, int] | None = None) -> LensSet:
    kept = Kept(len(cases) if given is None else given, dropped or {})
    return LensSet("language.lens", "zh", cases, kept, "test", "en", "zh", special_tokens=False)


def case(text: str, at: int, whole_next: bool = False, name: str = "", **words: tuple[str, ...]) -> LensCase:
    following = (words or WORDS)["surface"][0] if whole_next else ""
    return LensCase(name or f"{text}:{at}", text, Content.of(text), at, words or WORDS, following)


def ready(*cases: LensCase, seed: int = 0, frequency: np.ndarray | None = None):
    adapter = model.tiny()[0]
    counts = np.arange(adapter.n_tokens)[::-1].astype(float) if frequency is None else frequency
    return make_ready(adapter, lens_set(*cases), counts, seed)


def test_the_position_is_the_last_token_that_ends_before_the_character() -> None:
    adapter = model.tiny()[0]
    text = "three plus five equals eight; 3+5=8"
    (encoded,) = adapter.encode([Content.of(text)], special_tokens=False)
    seen = set()
    for at in range(len(text) + 1):
        position, reason = locate(case(text, at), encoded)
        want = model.last_token_before(text, at)
        assert (position, bool(reason)) == ((want, False) if want >= 0 else (-1, True)), at
        seen.add(position)
    assert seen == {-1, *range(len(encoded.ids))}, "every token is the place of some character"


def test_bytes_of_one_character_are_read_at_the_last_of_them() -> None:
    adapter = model.tiny()[0]
    text = "x猫y"
    (encoded,) = adapter.encode([Content.of(text)], special_tokens=False)
    assert len(encoded.ids) > 3, "the character must have several tokens"
    assert locate(case(text, 1), encoded)[0] == 0
    assert locate(case(text, 2), encoded)[0] == len(encoded.ids) - 2
    assert locate(case(text, 3), encoded)[0] == len(encoded.ids) - 1


def test_special_tokens_are_no_place_to_read() -> None:
    from semhub.models.base import Encoded

    encoded = Encoded((1, 90, 91, 2), (None, (0, 1), (1, 2), None))
    assert locate(case("ab", 0), encoded) == (-1, "no token before the position")
    assert locate(case("ab", 1), encoded)[0] == 1
    assert locate(case("ab", 2), encoded)[0] == 2
    assert locate(case("ab", 0, True, surface=("a",), dominant=("x",)), encoded)[0] == -1


@pytest.mark.parametrize(
    ("text", "at", "word", "position"),
    [
        ("one five old", 4, "five", 0),
        ("one plus five", 9, "five", 2),  # "one" " plu" "s" " five"
        ("3+5=8", 2, "5", 1),
        ("x很冷", 1, "很冷", 0),
    ],
)
def test_a_whole_next_word_is_read_one_token_before(text: str, at: int, word: str, position: int) -> None:
    (encoded,) = model.tiny()[0].encode([Content.of(text)], special_tokens=False)
    assert text[at : at + len(word)] == word
    where, reason = locate(case(text, at, True, surface=(word,), dominant=("one",)), encoded)
    ends = [span[1] for span in encoded.offsets if span]
    assert (where, reason) == (position, "")
    assert where == ends.index(at + len(word)) - 1
    assert encoded.offsets[where][1] <= at


@pytest.mark.parametrize(
    ("text", "at", "word", "reason"),
    [
        ("the river", 4, "river", "not one token"),  # " rive" "r"
        ("the eights", 4, "eigh", "not one token"),  # inside " eight"
        ("three plus", 0, "three", "no token before"),
        ("x猫y", 1, "猫", "not one token"),
        ("plus five", 5, "fiv", "not one token"),
    ],
)
def test_a_next_word_that_is_no_token_is_dropped_with_the_reason(
    text: str, at: int, word: str, reason: str
) -> None:
    got = ready(case(text, at, True, surface=(word,), dominant=("one",)))
    assert len(got.cases) == 0
    (why,) = got.kept.dropped
    assert reason in why or "no single token spells the surface word" in why


def following(text: str, at: int, **words: tuple[str, ...]) -> LensCase:
    return LensCase(
        f"{text}:{at}", text, Content.of(text), at, words or {"dominant": ("five",)}, next_token=True
    )


@pytest.mark.parametrize(
    ("text", "at", "surface"),
    [
        ("3+5=8", 2, "5"),
        ("one two three", 4, "two"),
        ("one plus old", 4, "plu"),  # " plu" "s": the first token of a word of two
        ("3\n5", 2, "5"),
    ],
)
def test_the_next_token_is_the_surface_word(text: str, at: int, surface: str) -> None:
    adapter = model.tiny()[0]
    got = ready(following(text, at))
    if surface == "5" and "\n" in text:
        assert got.kept.dropped == {"white space has a token of its own here": 1}
        return
    (one,), (position,) = got.cases, got.position.tolist()
    (encoded,) = got.encoded
    start, end = encoded.offsets[position + 1]
    assert text[start:end] == surface
    assert encoded.offsets[position][1] <= at
    ids = {int(got.targets[c]) for c in got.forms[got.groups["surface"][0][0]].tolist() if c >= 0}
    assert ids == set(adapter.word_forms(surface)) | {encoded.ids[position + 1]}
    assert len(one.words["surface"]) == 1


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("the river", 6, "reaches into what follows"),  # inside " rive"
        ("3+5", 0, "no token before"),
        ("3+5", 3, "reaches into what follows"),
        ("3 five", 2, "share a token"),
        ("one two", 3, "reaches into what follows"),  # white space is not what it asks for
    ],
)
def test_a_next_token_that_cannot_be_read_is_dropped_with_the_reason(text: str, at: int, reason: str) -> None:
    got = ready(following(text, at))
    assert not got.cases
    (why,) = got.kept.dropped
    assert reason in why


def test_bytes_of_a_character_are_scored_as_the_first_of_them() -> None:
    got = ready(following("x猫y", 1))
    (position,) = got.position.tolist()
    first = got.encoded[0].ids[position + 1]
    ids = {int(got.targets[c]) for c in got.forms[got.groups["surface"][0][0]].tolist() if c >= 0}
    assert ids == {first}


def test_control_words_are_scored_together_or_not_at_all() -> None:
    got = ready(
        case("3+5=", 4, name="whole", dominant=("eight",), surface=("5",), control=("two", "three")),
        case("3+6=", 4, name="part", dominant=("nine",), surface=("6",), control=("two", "plus river")),
    )
    assert [len(group) for group in got.groups["control"]] == [2, 0]


def test_few_words_get_stand_ins_and_many_none() -> None:
    names = ["one", "two", "three", "five", "six", "eight", "nine", "ten"]
    every = [
        case(f"{i}+3=", 4, name=str(i), dominant=(name,), surface=("3",)) for i, name in enumerate(names)
    ]
    assert ready(*every).stand_ins == {}
    got = ready(*every[:-1])
    assert set(got.stand_ins) == {group[0] for group in got.groups["dominant"]}
    own = {int(got.targets[c]) for word in got.stand_ins for c in got.forms[word].tolist() if c >= 0}
    for word, others in got.stand_ins.items():
        assert len(others) == 100
        size = int((got.forms[word] >= 0).sum())
        for other in others:
            tokens = {int(got.targets[c]) for c in got.forms[other].tolist() if c >= 0}
            assert len(tokens) == size
            assert not tokens & own


def test_words_are_scored_over_all_their_single_token_forms() -> None:
    got = ready(case("3+5=", 4, dominant=("three", "nine"), surface=("3",), echo=("two",)))
    names = dict(zip(got.word_names, got.forms.tolist(), strict=True))
    for word in ("three", "nine", "3", "two"):
        ids = {int(got.targets[column]) for column in names[word] if column >= 0}
        assert ids == set(model.forms(word)) != set()
    assert len(model.forms("three")) == 2
    assert [got.word_names[i] for i in got.groups["dominant"][0]] == ["three", "nine"]
    assert len(set(got.targets.tolist())) == len(got.targets)


def test_what_cannot_be_scored_is_counted_by_reason() -> None:
    given = lens_set(
        case("3+", 2, name="kept"),
        case("3+", 2, name="no dominant", dominant=("river",), surface=("5",)),
        case("3+", 2, name="no surface", dominant=("five",), surface=("tomorrow",)),
        case("3+", 2, name="shared", dominant=("five", "5"), surface=("5",)),
        case("3+", 0, name="no place"),
        given=9,
        dropped={"not in the dictionary": 4},
    )
    adapter = model.tiny()[0]
    got = make_ready(adapter, given, np.ones(adapter.n_tokens), 0)
    assert [one.case_id for one in got.cases] == ["kept"]
    assert got.kept.given == 9
    assert dict(got.kept.dropped) == {
        "not in the dictionary": 4,
        "no single token spells the dominant word": 1,
        "no single token spells the surface word": 1,
        "dominant and surface word share a token": 1,
        "no token before the position": 1,
    }


def test_words_without_a_token_leave_the_group_and_empty_groups_stay_aligned() -> None:
    got = ready(
        case("3+", 2, dominant=("five", "river"), surface=("5",), third_language=("río",)),
        case("2*", 2, dominant=("two",), surface=("2",), echo=("three",)),
        case("2*4", 2, dominant=("two",), surface=("2",), third_language=("tomorrow",)),
    )
    named = {
        name: [[got.word_names[i] for i in group] for group in groups] for name, groups in got.groups.items()
    }
    assert named["dominant"] == [["five"], ["two"], ["two"]]
    assert named["third_language"] == [["río"], [], []]
    assert named["echo"] == [[], ["three"], []]


def test_cases_of_one_content_share_it() -> None:
    got = ready(case("3+5=8", 2), case("3+5=8", 4), case("2*4=", 4))
    assert len(got.encoded) == 2
    assert got.content.tolist() == [0, 0, 1]
    assert got.position.tolist() == [1, 3, 3]


def test_a_content_of_one_token_is_read_at_it() -> None:
    got = ready(case("3", 1))
    assert got.position.tolist() == [0]


def test_no_case_at_all() -> None:
    got = ready()
    assert got.cases == []
    assert got.groups == {}
    got = ready(case("3+", 0))
    assert got.cases == []


def test_random_words_match_in_number_forms_and_frequency() -> None:
    rng = np.random.default_rng(0)
    frequency = rng.permutation(400).astype(float)
    rank = np.empty(400, dtype=int)
    rank[np.argsort(-frequency)] = np.arange(400)
    frequency[:3] = frequency[model.forms("five")[0]]  # the special tokens are as frequent as a word
    cases = [
        case(f"{i}+", 2, dominant=("three", "nine") if i % 2 else ("five",), surface=(str(i),))
        for i in range(10)
    ]
    got = ready(*cases, frequency=frequency)
    distances = []
    for i, (own, drawn) in enumerate(zip(got.groups["dominant"], got.groups["random_tokens"], strict=True)):
        assert len(own) == len(drawn) == (2 if i % 2 else 1)
        forms = [[int(got.targets[c]) for c in got.forms[w].tolist() if c >= 0] for w in own]
        random = [[int(got.targets[c]) for c in got.forms[w].tolist() if c >= 0] for w in drawn]
        for ours, others in zip(forms, random, strict=True):
            assert len(ours) == len(others) == len(set(others))
            assert not set(others) & {token for word in forms for token in word}
            assert not set(others) & {*model.forms(str(i)), *model.tiny()[0].special_ids}
            low, high = min(rank[ours]) - 101, max(rank[ours]) + 101
            assert all(low <= rank[token] <= high for token in others)
        distances += [rank[o] for group in random for o in group]
    assert len(set(distances)) > 5, "they are drawn anew for each case"
    again, other = ready(*cases, frequency=frequency), ready(*cases, frequency=frequency, seed=1)
    assert again.groups == got.groups
    assert again.targets.tolist() == got.targets.tolist()
    assert other.targets.tolist() != got.targets.tolist()


def test_strata_are_bins_of_frequency_of_at_least_ten_words() -> None:
    adapter = model.tiny()[0]
    words = [w for w in (adapter.token_text(i) for i in range(30, 300)) if len(model.forms(w)) == 1][:33]
    cases = [case("two ", 3, dominant=(w,), surface=("5" if w != "5" else "6",)) for w in words]
    frequency = np.random.default_rng(0).permutation(adapter.n_tokens).astype(float)
    got = ready(*cases, frequency=frequency)
    index = np.array([got.word_names.index(w) for w in words])
    strata = frequency_strata(got, index, frequency)
    assert np.bincount(strata).tolist() == [11, 11, 11]
    counts = np.array([frequency[model.forms(w)].sum() for w in words])
    assert counts[strata == 0].max() < counts[strata == 1].min() < counts[strata == 1].max()
    assert counts[strata == 1].max() < counts[strata == 2].min()
    assert frequency_strata(got, index[:9], frequency).tolist() == [0] * 9
