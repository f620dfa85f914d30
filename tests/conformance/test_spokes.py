"""Every spoke that is found, on its generated data: what plans, measures and reports rely on."""

from __future__ import annotations

import re

import pytest

from semhub import registry
from semhub.types import (
    CaseSet,
    Experiment,
    LensSet,
    PairSet,
    Place,
    PromptSet,
    Request,
    StateDifference,
    SteerSet,
)

EXPERIMENTS = registry.experiments()
OUTCOMES = {"success", "unchanged", "other", "unparseable", "skip"}
REQUEST = Request(n=12, seed=3)


def built(experiment: Experiment) -> list[CaseSet]:
    return experiment.build(REQUEST)[0]


def case_ids(case_set: CaseSet) -> list[str]:
    if isinstance(case_set, PairSet):
        return [pair.case_id for pair in case_set.pairs]
    if isinstance(case_set, (LensSet, SteerSet)):
        return [case.case_id for case in case_set.cases]
    if isinstance(case_set, PromptSet):
        return [prompt.case_id for prompt in case_set.prompts]
    return [case_id for case_id, _ in case_set.texts]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.id)
class TestExperiment:
    def test_says_what_it_compares(self, experiment: Experiment) -> None:
        assert experiment.id.startswith(f"{experiment.spoke}.")
        assert experiment.prediction in ("P1", "P2", "P3", "")
        assert experiment.title
        assert experiment.question.endswith("?") or not experiment.prediction
        assert experiment.if_false.endswith(".")

    def test_case_ids_are_unique_and_cases_are_counted(self, experiment: Experiment) -> None:
        for case_set in built(experiment):
            ids = case_ids(case_set)
            assert ids
            assert len(set(ids)) == len(ids)
            assert case_set.kept.given == len(ids) + sum(case_set.kept.dropped.values())
            assert case_set.experiment == experiment.id
            assert case_set.source

    def test_variants_are_unique(self, experiment: Experiment) -> None:
        variants = [case_set.variant for case_set in built(experiment)]
        assert len(set(variants)) == len(variants)

    def test_every_part_of_a_variants_name_is_explained(self, experiment: Experiment) -> None:
        parts = {part.split("=")[0] for one in built(experiment) for part in one.variant.split("/")}
        unexplained = {
            part for part in parts - set(experiment.variants) if not re.fullmatch("[a-z]{2}", part)
        }
        assert not unexplained
        assert all(experiment.variants.values())

    def test_the_same_request_gives_the_same_cases(self, experiment: Experiment) -> None:
        assert built(experiment) == built(experiment)

    def test_the_seed_draws_other_cases(self, experiment: Experiment) -> None:
        assert built(experiment) != experiment.build(Request(n=12, seed=4))[0]

    def test_data_has_a_source_and_a_licence(self, experiment: Experiment) -> None:
        for provenance in experiment.build(REQUEST)[1]:
            assert provenance.source
            assert provenance.licence
            assert provenance.version

    def test_pairs(self, experiment: Experiment) -> None:
        for case_set in built(experiment):
            if isinstance(case_set, PairSet):
                for pair in case_set.pairs:
                    assert pair.a.text
                    assert pair.b.text
                    assert pair.a != pair.b
                    assert pair.b not in pair.negatives
                    assert pair.a not in pair.negatives
                    assert len(set(pair.negatives)) == len(pair.negatives)

    def test_lens_cases(self, experiment: Experiment) -> None:
        for case_set in built(experiment):
            if isinstance(case_set, LensSet):
                for case in case_set.cases:
                    assert 0 < case.at <= len(case.content.text)
                    assert case.words["dominant"]
                    own = case_set.spelled or bool(case_set.surface_language and not case.next_token)
                    assert bool(case.words.get("surface")) == own
                    assert all(
                        word == word.strip() and word for group in case.words.values() for word in group
                    )
                    if case.next_word:
                        assert case.content.text.startswith(case.next_word, case.at)
                        assert case.next_word in case.words.get("surface", (case.next_word,))

    def test_steered_cases(self, experiment: Experiment) -> None:
        for case_set in built(experiment):
            if isinstance(case_set, SteerSet):
                assert experiment.prediction == "P3"
                assert list(case_set.strengths) == sorted(set(case_set.strengths))
                assert case_set.strengths[0] > 0
                assert case_set.new_tokens > 0
                conditions = {tuple(case.directions) for case in case_set.cases}
                assert len(conditions) == 1  # every case is compared with the same controls
                for case in case_set.cases:
                    assert 0 < case.at <= len(case.content.text)
                    assert case.cluster_id
                    assert "hypothesis" in case.directions
                    assert set(case.directions) <= {"hypothesis", "wrong_concept", "native"}
                    assert case.new
                    assert not set(case.new) & set(case.old)
                    assert all(word and word == word.strip() for word in (*case.new, *case.old))
                    assert len(set(case.directions.values())) == len(case.directions)
                    for direction in case.directions.values():
                        assert direction.plus != direction.minus
                        if isinstance(direction, StateDifference):
                            places: list[Place] = [*direction.plus, *direction.minus]
                            assert all(0 < place.at <= len(place.content.text) for place in places)
                            assert direction.plus
                            assert direction.minus
                        else:
                            assert direction.plus
                            assert direction.minus

    def test_prompts(self, experiment: Experiment) -> None:
        for case_set in built(experiment):
            if isinstance(case_set, PromptSet):
                assert experiment.prediction == "P3"
                assert not case_set.deciding
                assert list(case_set.strengths) == sorted(set(case_set.strengths) - {0})
                assert case_set.n_seeds > 0
                assert "hypothesis" in case_set.directions
                assert set(case_set.directions) <= {"hypothesis", "native"}
                assert all(add and sub and add != sub for add, sub in case_set.directions.values())
                for prompt in case_set.prompts:
                    assert prompt.content.text.endswith(prompt.bare.text)
                    assert prompt.bare.text
                    assert prompt.cluster_id
                    assert prompt.language == case_set.variant.rsplit("/", 1)[-1]

    def test_strict_readings(self, experiment: Experiment) -> None:
        for case_set in built(experiment):
            readings = case_set.readings.values() if isinstance(case_set, SteerSet) else ()
            for parse, case in ((parse, case) for parse in readings for case in case_set.cases):
                for text in ("", "5", "n)", "\0", "(" * 1_000, case.answer, *case.new, *case.old):
                    for unsteered in ("", "5", "n)", "\0", *case.old):
                        assert parse(text, unsteered, case) in OUTCOMES


def test_every_verdict_has_a_deciding_set() -> None:
    decides: dict[tuple[str, str], list[bool]] = {}
    for experiment in EXPERIMENTS:
        sets = [one for one in built(experiment) if isinstance(one, (PairSet, LensSet, SteerSet))]
        if sets:
            cell = decides.setdefault((experiment.spoke, experiment.prediction), [])
            cell.append(any(one.deciding for one in sets))
    for cell, found in decides.items():
        assert sum(found) == 1, cell
