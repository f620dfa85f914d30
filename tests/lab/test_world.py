"""Laws of the micro-world: distinct meanings, a fixed held-out split, true grammar, near misses in one aspect."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from semhub.lab.world import LANGUAGES, Meaning, Phrase, is_heldout, lexicon, meanings, negatives, render
from semhub.lab.world.lexicon import COLOURS, NAMES, NEGATION, NOUNS, PROPERTIES, QUALITIES

MANY = meanings(3000, seed=5)


def test_tens_of_thousands_of_distinct_meanings() -> None:
    found = meanings(30_000, seed=1, split="train")
    assert len({meaning.key for meaning in found}) == 30_000
    for language in LANGUAGES:
        assert len({render(meaning, language).text for meaning in found[:5000]}) == 5000


def test_the_world_has_the_size_that_is_promised() -> None:
    words = {text for forms in lexicon().values() for text in forms.values()}
    assert len(words) == 3 * len(lexicon()) > 300


def test_splits_are_disjoint_and_stable() -> None:
    train = {meaning.key for meaning in meanings(20_000, seed=3, split="train")}
    assert train.isdisjoint(meaning.key for meaning in MANY)
    assert all(map(is_heldout, MANY))
    # A change of the key or of the hash would move meanings between training and test.
    first = Meaning("buy", Phrase("John"), Phrase("hat", 3, "red"), place="park")
    assert first.key == "John/buy/3.red.hat/-/park"
    verdicts = "".join(
        str(int(is_heldout(replace(first, theme=Phrase("hat", n, q))))) for n in range(1, 10) for q in COLOURS
    )
    assert verdicts == "000000000010100000000000000000000110001010000000000000000000000000000100"


def test_meanings_are_a_prefix_of_longer_lists() -> None:
    assert meanings(50, seed=9) == meanings(200, seed=9)[:50]
    assert meanings(50, seed=9) != meanings(50, seed=10)


def test_unknown_split_and_language_are_refused() -> None:
    with pytest.raises(ValueError, match="split"):
        meanings(1, 0, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fr"):
        render(MANY[0], "fr")


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_lie_where_they_say(language: str) -> None:
    for meaning in MANY[:500]:
        sentence = render(meaning, language)
        assert sentence.text[-1] == ("。" if language == "zh" else ".")
        ends = [0]
        for word in sentence.words:
            assert sentence.text[word.start : word.end] == word.text
            assert word.start >= ends[-1]
            ends.append(word.end)
        concepts = sorted(word.concept for word in sentence.words)
        assert concepts == sorted(word.concept for word in render(meaning, "en").words)
        assert set(concepts) <= set(lexicon())


def test_english_and_spanish_share_no_word() -> None:
    words = {
        language: {
            w.lower() for m in MANY for w in re.findall(r"\w+", render(m, language).text)
        } for language in ("en", "es")
    }  # fmt: skip
    main = {language: {forms[language].lower() for forms in lexicon().values()} for language in ("en", "es")}
    assert len(words["en"]) > 180
    assert not (words["en"] | main["en"]) & (words["es"] | main["es"])


def test_chinese_is_written_without_spaces_or_latin_letters() -> None:
    assert all(re.fullmatch(r"[\u4e00-\u9fff]+。", render(meaning, "zh").text) for meaning in MANY)


EXAMPLES = [
    (
        Meaning("chase", Phrase("cow", 2, "black"), Phrase("John"), place="kitchen", negated=True),
        "Two black cows did not chase John in the kitchen.",
        "两头黑色的奶牛没有在厨房里追赶约翰。",
        "Dos vacas negras no persiguieron a Juan en la cocina.",
    ),
    (
        Meaning("chase", Phrase("Alice"), Phrase("mouse", 1, "grey")),
        "Alice chased one grey mouse.",
        "爱丽丝追赶了一只灰色的老鼠。",
        "Alicia persiguió a un ratón gris.",
    ),
    (
        Meaning("give", Phrase("Helen"), Phrase("key", 1, "beautiful"), recipient="Peter", place="beach"),
        "Helen gave one beautiful key to Peter on the beach.",
        "海伦在海滩上送给了彼得一把漂亮的钥匙。",
        "Elena dio una llave hermosa a Pedro en la playa.",
    ),
    (
        Meaning("buy", Phrase("Mary"), Phrase("book", 7, "brown"), place="market"),
        "Mary bought seven brown books at the market.",
        "玛丽在市场里买了七本棕色的书。",
        "María compró siete libros marrones en el mercado.",
    ),
]


@pytest.mark.parametrize(("meaning", "english", "chinese", "spanish"), EXAMPLES)
def test_word_order_and_agreement(meaning: Meaning, english: str, chinese: str, spanish: str) -> None:
    assert render(meaning, "en").text == english
    assert render(meaning, "zh").text == chinese
    assert render(meaning, "es").text == spanish


def _aspects(meaning: Meaning) -> dict[str, object]:
    people = [phrase.head for phrase in (meaning.agent, meaning.theme) if phrase.is_person]
    things = [phrase for phrase in (meaning.agent, meaning.theme) if not phrase.is_person]
    return {
        "number": [thing.number for thing in things],
        "name": sorted([*people, meaning.recipient]),
        "negation": meaning.negated,
        "property": [thing.quality for thing in things],
        "rest": (meaning.verb, meaning.place, [thing.head for thing in things]),
    }


def test_negatives_are_wrong_in_exactly_one_aspect() -> None:
    seen: dict[str, int] = {}
    for meaning in MANY:
        found = negatives(meaning)
        assert negatives(meaning) == found
        assert len({one.key for one in (meaning, *found)}) == len(found) + 1
        for one in found:
            mirrored = replace(one, agent=one.theme, theme=one.agent)
            exchanged = (
                replace(one, agent=Phrase(one.recipient), recipient=one.agent.head) if one.recipient else one
            )
            if meaning in (mirrored, exchanged):
                changed = ["roles"]
            else:
                before, after = _aspects(meaning), _aspects(one)
                changed = [aspect for aspect in before if before[aspect] != after[aspect]]
            assert len(changed) == 1
            assert changed != ["rest"]
            seen[changed[0]] = seen.get(changed[0], 0) + 1
            for language in LANGUAGES:
                assert render(one, language).text != render(meaning, language).text
    assert seen.keys() == {"number", "name", "negation", "roles", "property"}
    assert seen["negation"] == len(MANY)
    assert min(seen.values()) > len(MANY) / 4


def test_a_changed_property_stays_of_its_kind() -> None:
    for meaning in MANY:
        for one in negatives(meaning):
            for before, after in zip((meaning.agent, meaning.theme), (one.agent, one.theme), strict=True):
                if before.head == after.head and before.quality != after.quality:
                    assert (before.quality in COLOURS) == (after.quality in COLOURS)


def test_concepts_have_one_part_of_speech() -> None:
    groups = [set(NOUNS), set(PROPERTIES), set(NAMES), {"not"}]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert not set(COLOURS) & set(QUALITIES)
    assert lexicon()["not"] == NEGATION
