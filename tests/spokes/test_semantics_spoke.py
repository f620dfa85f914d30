"""The formal semantics spoke on rows written here, on generated forms, and on the real file where it is."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from semhub.errors import UsageError
from semhub.lab.world.lexicon import NAMES
from semhub.spokes import semantics
from semhub.types import LensCase, LensSet, PairSet, Request

DATA = Path(
    os.environ.get("SEMHUB_TEST_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
)
CAKE = (
    "* cake ( x _ 4 ) ; give . agent ( x _ 1 , Ann ) AND give . recipient ( x _ 1 , Bob ) "
    "AND give . theme ( x _ 1 , x _ 4 )"
)
SOLD = (
    "cake ( x _ 1 ) AND sell . theme ( x _ 3 , x _ 1 ) AND sell . recipient ( x _ 3 , Eve ) "
    "AND sell . agent ( x _ 3 , Dan )"
)
HOPED = (
    "* cat ( x _ 1 ) ; hope . agent ( x _ 2 , x _ 1 ) AND hope . ccomp ( x _ 2 , x _ 5 ) "
    "AND see . agent ( x _ 5 , Ann ) AND see . theme ( x _ 5 , Dan )"
)
WANTED = (
    "want . agent ( x _ 1 , Ann ) AND want . xcomp ( x _ 1 , x _ 3 ) AND run . agent ( x _ 3 , Ann ) "
    "AND run . nmod . with ( x _ 3 , Eve )"
)
ROWS = [
    ("Ann gave Bob the cake .", CAKE),
    ("A cat ran .", "cat ( x _ 1 ) AND run . agent ( x _ 2 , x _ 1 )"),
    ("Eve", "Eve"),
    ("Bob ran .", "run . agent ( x _ 1 , Bob )"),
    ("A cake was sold to Eve by Dan .", SOLD),
    ("Ann gave Bob the cake .", "run . agent ( x _ 2 , Eve )"),
    ("not a row", ""),
    ("The cat hoped that Ann saw Dan .", HOPED),
    ("Bob and Eve met .", "meet ( Bob ) AND meet ( Eve )"),
    ("run", "LAMBDA a . LAMBDA e . run . agent ( e , a )"),
    ("Dan met Eve .", "meet . agent ( Dan , Eve )"),
    ("Ann wanted to run with Eve .", WANTED),
]


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    path = tmp_path / "train.tsv"
    path.write_text("".join(f"{a}\t{b}\tin\n" for a, b in ROWS), encoding="utf-8")
    return Request(data={"cogs": str(path)})


def pair_sets(request: Request) -> dict[str, PairSet]:
    sets, _ = semantics.similarity(request)
    return {one.variant: one for one in sets if isinstance(one, PairSet)}


def lens_sets(request: Request) -> dict[str, LensSet]:
    sets, _ = semantics.lens(request)
    return {one.variant: one for one in sets if isinstance(one, LensSet)}


def conjuncts(text: str) -> list[str]:
    return text.removesuffix(" This represents").split(" ; ")[-1].split(" AND ")


def exchanged(text: str, one: str, two: str) -> str:
    return text.replace(one, "\0").replace(two, one).replace("\0", two)


def test_variants_and_the_deciding_one(request_: Request) -> None:
    for request in (request_, Request(n=20)):
        sets = pair_sets(request)
        assert list(sets) == [
            "all/bare", "all/continued", "names_swapped/bare", "names_swapped/continued",
            "names_swapped_shuffled/bare", "names_swapped_shuffled/continued",
            "names_swapped_both_shuffled/continued",
        ]  # fmt: skip
        assert [name for name, one in sets.items() if one.deciding] == ["names_swapped/continued"]
        for one in sets.values():
            assert one.experiment == "semantics.similarity"
            assert one.shares_words
            assert one.special_tokens
            assert len(one.pairs) + sum(one.kept.dropped.values()) == one.kept.given


def test_all_pairs(request_: Request) -> None:
    sets = pair_sets(request_)
    bare, continued = sets["all/bare"], sets["all/continued"]
    ids = [f"cogs-train:{i}" for i in (0, 1, 3, 4, 7, 8, 10, 11)]
    assert [pair.case_id for pair in bare.pairs] == [pair.case_id for pair in continued.pairs] == ids
    assert [pair.cluster_id for pair in bare.pairs] == ids
    assert (bare.pairs[0].a.text, bare.pairs[0].b.text) == ("Ann gave Bob the cake .This represents", CAKE)
    assert continued.pairs[0].a.text == "Ann gave Bob the cake . This represents"
    assert continued.pairs[0].b.text == f"{CAKE} This represents"
    assert not any(pair.negatives for pair in bare.pairs + continued.pairs)
    assert bare.kept.given == 12
    assert bare.kept.dropped == {
        "empty sentence or form": 1, semantics.PRIMITIVE: 2, semantics.REPEATED: 1
    }  # fmt: skip


def test_swapped_names(request_: Request) -> None:
    sets = pair_sets(request_)
    bare, continued = sets["names_swapped/bare"], sets["names_swapped/continued"]
    assert [pair.case_id for pair in bare.pairs] == [f"cogs-train:{i}" for i in (0, 4, 7, 10, 11)]
    near = [[one.text for one in pair.negatives] for pair in bare.pairs]
    assert near[0] == [exchanged(CAKE, "Ann", "Bob")]
    assert near[4] == [exchanged(WANTED, "Ann", "Eve")]
    assert [pair.b.text for pair in bare.pairs] == [ROWS[i][1] for i in (0, 4, 7, 10, 11)]
    assert [[one.text for one in pair.negatives] for pair in continued.pairs] == [
        [f"{text} This represents" for text in texts] for texts in near
    ]
    assert continued.kept.dropped == {
        "empty sentence or form": 1, semantics.PRIMITIVE: 2, semantics.REPEATED: 1,
        semantics.NOT_TWO_NAMES: 2, semantics.SYMMETRIC: 1,
    }  # fmt: skip


def test_shuffled_forms(request_: Request) -> None:
    sets = pair_sets(request_)
    plain = sets["names_swapped/bare"].pairs[:3] + sets["names_swapped/bare"].pairs[4:]
    paper, both = sets["names_swapped_shuffled/bare"], sets["names_swapped_both_shuffled/continued"]
    assert paper.kept.dropped[semantics.ONE_CONJUNCT] == both.kept.dropped[semantics.ONE_CONJUNCT] == 1
    for one, two, three in zip(plain, paper.pairs, both.pairs, strict=True):
        assert one.case_id == two.case_id == three.case_id
        assert two.b == one.b
        assert conjuncts(two.negatives[0].text) != conjuncts(one.negatives[0].text)
        for changed, original in (
            (two.negatives[0].text, one.negatives[0].text),
            (three.negatives[0].text, one.negatives[0].text),
            (three.b.text, one.b.text),
        ):
            assert Counter(conjuncts(changed)) == Counter(conjuncts(original))
            assert changed.partition(" ; ")[0] == original.partition(" ; ")[0] or " ; " not in original
        assert three.a.text.endswith(". This represents")
        assert three.b.text.endswith(" ) This represents")


def names(text: str) -> list[str]:
    """The world's names in a text, in the order in which they first stand there."""
    return list(dict.fromkeys(word for word in re.findall(r"\w+", text) if word in NAMES))


def test_order_alone_tells_nothing_when_both_are_shuffled() -> None:
    pairs = pair_sets(Request(n=400))["names_swapped_both_shuffled/continued"].pairs
    assert len(pairs) == 400
    kept = {"b": 0, "negative": 0}
    for pair in pairs:
        said = names(pair.a.text)
        for side, text in (("b", pair.b.text), ("negative", pair.negatives[0].text)):
            assert set(names(text)) == set(said)
            kept[side] += names(text) == said
        assert [one.split(" (")[0] for one in conjuncts(pair.b.text)] == [
            one.split(" (")[0] for one in conjuncts(pair.negatives[0].text)
        ]
    for count in kept.values():
        assert abs(count - 200) < 40  # four standard errors
    plain = pair_sets(Request(n=400))["names_swapped/continued"].pairs
    assert all(names(pair.b.text) == names(pair.a.text) != names(pair.negatives[0].text) for pair in plain)


def test_the_request_limits_the_pairs_of_each_set(request_: Request) -> None:
    few = pair_sets(Request(data=request_.data, n=2, seed=1))
    every = pair_sets(request_)
    for name, one in few.items():
        assert len(one.pairs) == 2
        assert one.kept.dropped[semantics.NOT_SAMPLED] == len(every[name].pairs) - 2
    assert len(pair_sets(Request(seed=5))["names_swapped/continued"].pairs) == semantics.GENERATED


def test_generated_sentences_in_another_dominant_language() -> None:
    for language, end in (("zh", "。这代表了"), ("es", ". Esto representa")):
        one = pair_sets(Request(n=10, dominant=language))["names_swapped/continued"]
        assert len(one.pairs) == 10
        assert all(pair.a.text.endswith(end) for pair in one.pairs)
        assert all(pair.b.text.endswith(" ) This represents") for pair in one.pairs)


def test_what_cannot_be_had_in_a_language(request_: Request) -> None:
    with pytest.raises(UsageError, match="English sentences only, none in 'zh'"):
        semantics.similarity(Request(data=request_.data, dominant="zh"))
    with pytest.raises(UsageError, match="exist in en, zh, es, not de"):
        semantics.similarity(Request(dominant="de"))
    with pytest.raises(UsageError, match=r"no words in 'xx'\. Give --dominant .*en.*zh"):
        semantics.lens(Request(dominant="xx"))


def role_before(case: LensCase) -> str:
    """The word that opens the case's conjunct, read off the text before the position by string search."""
    found = re.search(r"\. (\w+) \( x _ \d+ , $", case.content.text[: case.at])
    assert found
    return found[1]


def test_lens(request_: Request) -> None:
    sets = lens_sets(request_)
    assert list(sets) == ["all", "gold=agent", "gold=recipient", "gold=theme", "in_context"]
    assert [name for name, one in sets.items() if one.deciding] == ["all"]
    every = sets["all"]
    roles = [(case.case_id.split(":")[1], *case.words["dominant"]) for case in every.cases]
    assert roles == [
        ("0", "recipient"), ("4", "recipient"), ("4", "agent"), ("5", "agent"), ("7", "agent"), ("7", "theme")
    ]  # fmt: skip
    for case in every.cases:
        assert case.case_id == f"cogs-train:{case.case_id.split(':')[1]}:{case.at}"
        assert case.words["dominant"] == (role_before(case),)
        assert sorted(case.words["dominant"] + case.words["control"]) == ["agent", "recipient", "theme"]
        assert set(case.words) == {"dominant", "control"}
        assert case.content.text[case.at :].startswith(f"{case.next_word} )")
        assert case.next_word in {"Ann", "Bob", "Dan", "Eve"}
        assert not case.next_token
    assert every.kept.given == 1 + 2 + (2 + 1 + 2 + 1 + 2 + 2 + 2 + 3)
    assert every.kept.dropped == {
        "empty sentence or form": 1, semantics.PRIMITIVE: 2, semantics.AT_START: 6, semantics.NO_ROLE: 3
    }  # fmt: skip
    for one in sets.values():
        assert one.surface_language == ""
        assert one.dominant_language == "en"
        assert one.special_tokens
        assert len(one.cases) + sum(one.kept.dropped.values()) == one.kept.given


def test_lens_of_one_gold_role_scores_every_role(request_: Request) -> None:
    sets = lens_sets(request_)
    for role in ("agent", "recipient", "theme"):
        one = sets[f"gold={role}"]
        assert [case.case_id for case in one.cases] == [
            case.case_id for case in sets["all"].cases if case.words["dominant"] == (role,)
        ]
        for case in one.cases:
            assert case.words == {
                "dominant": (role,), "agent": ("agent",), "recipient": ("recipient",), "theme": ("theme",)
            }  # fmt: skip
        assert one.kept.dropped[semantics.OTHER_GOLD] == len(sets["all"].cases) - len(one.cases)


def test_lens_in_context_scores_the_roles_that_were_read(request_: Request) -> None:
    one = lens_sets(request_)["in_context"]
    assert [(case.case_id.split(":")[1], *case.words["dominant"], case.words["control"]) for case in one.cases] == [
        ("0", "recipient", ("agent",)),
        ("4", "recipient", ("theme",)),
        ("4", "agent", ("theme", "recipient")),
        ("7", "theme", ("agent",)),
    ]  # fmt: skip
    assert one.kept.dropped[semantics.NO_CONTEXT] == 2
    for case in one.cases:
        before = case.content.text[: case.at]
        assert all(f" . {role} ( " in before for role in case.words["control"])


def test_names_are_reassigned_by_the_seed(request_: Request) -> None:
    texts = {
        seed: [case.content.text for case in lens_sets(Request(data=request_.data, seed=seed))["all"].cases]
        for seed in range(6)
    }
    assert len({tuple(one) for one in texts.values()}) > 1
    assert texts[0] == [case.content.text for case in lens_sets(request_)["all"].cases]
    for some in texts.values():
        for text, original in zip(some[:2], (CAKE, SOLD), strict=True):
            hide = re.compile(r"(?<=, )[A-Z]\w+")
            assert hide.sub("NAME", text) == hide.sub("NAME", original)
            assert len(set(hide.findall(text))) == 2


def test_forms_that_read_the_same_up_to_a_name_share_a_cluster(tmp_path: Path) -> None:
    sell = "* cup ( x _ 1 ) ; sell . theme ( x _ 3 , x _ 1 ) AND sell . recipient ( x _ 3 , {0} )"
    rows = [
        ("The cup was sold to Ann .", sell.format("Ann")),
        ("A cat saw Bob .", "cat ( x _ 1 ) AND see . agent ( x _ 2 , x _ 1 ) AND see . theme ( x _ 2 , Bob )"),
        ("The cup was sold to Bob in May .", sell.format("Bob") + " AND may ( x _ 8 )"),
    ]  # fmt: skip
    path = tmp_path / "own.tsv"
    path.write_text("".join(f"{a}\t{b}\tin\n" for a, b in rows), encoding="utf-8")
    for one in lens_sets(Request(data={"cogs": str(path)})).values():
        clusters = {case.case_id.rpartition(":")[0]: case.cluster_id for case in one.cases}
        assert clusters.items() <= {
            "cogs-own:0": "cogs-own:0", "cogs-own:1": "cogs-own:1", "cogs-own:2": "cogs-own:0"
        }.items()  # fmt: skip


def test_generated_cases_of_one_state_share_a_cluster() -> None:
    cases = lens_sets(Request())["all"].cases
    by_prefix: dict[str, set[str]] = {}
    by_form: dict[str, set[str]] = {}
    for case in cases:
        by_prefix.setdefault(case.content.text[: case.at], set()).add(case.cluster_id)
        by_form.setdefault(case.case_id.rpartition(":")[0], set()).add(case.cluster_id)
    assert len(by_prefix) < len(cases)
    assert all(len(some) == 1 for some in (*by_prefix.values(), *by_form.values()))
    assert len({case.cluster_id for case in cases}) > 0.8 * len(by_prefix) > 0.5 * len(by_form)


def test_role_words_of_another_dominant_language(request_: Request) -> None:
    for request in (Request(data=request_.data, dominant="zh"), Request(n=30, dominant="zh")):
        sets = lens_sets(request)
        for one in sets.values():
            assert one.dominant_language == "zh"
        english = {role_before(case): case.words["dominant"] for case in sets["all"].cases}
        assert len(set(english.values())) == len(english) == 3
        assert not any(word.isascii() for some in english.values() for word in some)
        assert set(sets["gold=agent"].cases[0].words) == {"dominant", "agent", "recipient", "theme"}
    assert lens_sets(Request(n=5, dominant="de"))["all"].cases


def test_the_request_limits_the_forms(request_: Request) -> None:
    one = lens_sets(Request(data=request_.data, n=2, seed=0))["all"]
    assert len({case.case_id.split(":")[1] for case in one.cases}) == 2
    assert one.kept.dropped[semantics.NOT_SAMPLED] == 6 - len(one.cases)
    assert (
        len({case.case_id.rpartition(":")[0] for case in lens_sets(Request())["all"].cases})
        == semantics.GENERATED
    )


def test_one_role_alone_cannot_be_compared(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("A cat saw Bob .\tcat ( x _ 1 ) AND see . theme ( x _ 2 , Bob )\tin\n", encoding="utf-8")
    sets = lens_sets(Request(data={"cogs": str(path)}))
    assert list(sets) == ["all"]
    assert not sets["all"].cases
    assert sets["all"].kept.dropped == {semantics.ONE_ROLE: 1}
    pairs = pair_sets(Request(data={"cogs": str(path)}))
    assert {name: len(one.pairs) for name, one in pairs.items()} == {
        "all/bare": 1, "all/continued": 1, "names_swapped/continued": 0
    }  # fmt: skip


@pytest.mark.slow
def test_real_file_against_string_search() -> None:
    path = DATA / "cogs" / "train.tsv"
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set SEMHUB_TEST_DATA)")
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    names = {word for row in rows for word in re.findall(r"\b[A-Z][a-z]+\b", row[1])}
    rows = [row for row in rows if row[2] != "primitive"]
    roles: Counter[str] = Counter()
    two = starts = 0
    for sentence, form, _ in rows:
        found = re.findall(r"\. (\w+) \( x _ \d+ , ([A-Z][a-z]+) \)", form)
        two += len({name for _, name in found}) == 2
        start = sentence.split()[0]
        starts += sum(name == start for _, name in found)
        roles.update(role for role, name in found if name != start)
    request = Request(data={"cogs": str(path)})
    pairs = pair_sets(request)
    assert len(pairs["all/continued"].pairs) == min(len(rows), 10_000)
    assert len(pairs["names_swapped/continued"].pairs) == two
    sets = lens_sets(request)
    assert Counter(case.words["dominant"][0] for case in sets["all"].cases) == roles
    assert sets["all"].kept.dropped[semantics.AT_START] == starts
    assert {case.next_word for case in sets["all"].cases} == names
