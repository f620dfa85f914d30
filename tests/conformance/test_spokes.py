"""Every spoke that is found, on its generated data: what plans, measures and reports rely on."""

from __future__ import annotations

import pytest

from semhub import registry
from semhub.types import CaseSet, Experiment, LensSet, PairSet, Request

EXPERIMENTS = registry.experiments()
REQUEST = Request(n=12, seed=3)


def built(experiment: Experiment) -> list[CaseSet]:
    return experiment.build(REQUEST)[0]


def case_ids(case_set: CaseSet) -> list[str]:
    if isinstance(case_set, PairSet):
        return [pair.case_id for pair in case_set.pairs]
    if isinstance(case_set, LensSet):
        return [case.case_id for case in case_set.cases]
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


def test_every_verdict_has_a_deciding_set() -> None:
    decides: dict[tuple[str, str], list[bool]] = {}
    for experiment in EXPERIMENTS:
        sets = [one for one in built(experiment) if isinstance(one, (PairSet, LensSet))]
        if sets:
            cell = decides.setdefault((experiment.spoke, experiment.prediction), [])
            cell.append(any(one.deciding for one in sets))
    for cell, found in decides.items():
        assert sum(found) == 1, cell
