"""LambdaMART: boosted trees over features of query and candidate, learned by lightgbm and kept as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from hybridret.errors import require
from hybridret.fusion.features import FEATURES, features
from hybridret.fusion.training import Judged
from hybridret.types import IntArray, ScoreArray

_ROUNDS, _LEAVES, _RATE, _LEAST = 60, 8, 0.1, 20
_MOST_TREES, _MOST_NODES = 500, 128


class Trees(NamedTuple):
    """An ensemble of regression trees, which a walk from node 0 of each evaluates: no model file, nothing to execute.

    Attributes:
        feature: *Shape:* (n_trees, n_nodes), int64, the column that a node asks for.
        threshold: *Shape:* (n_trees, n_nodes), float64; up to it the walk goes left.
        left: *Shape:* (n_trees, n_nodes), int64, a later node; a leaf has itself.
        right: *Shape:* (n_trees, n_nodes), int64.
        value: *Shape:* (n_trees, n_nodes), float64, what a leaf gives; of other nodes the mean below them.
    """

    feature: IntArray
    threshold: ScoreArray
    left: IntArray
    right: IntArray
    value: ScoreArray

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trees:
        """Reads what ``as_json`` gave.

        Raises:
            ValueError: It is no ensemble of trees.
        """
        if set(value) != set(cls._fields):
            raise ValueError("its trees have other entries than trees have")
        tables = {name: np.array(value[name], dtype=np.float64) for name in cls._fields}
        shape = tables["feature"].shape
        fits = len(shape) == 2 and 0 < shape[0] <= _MOST_TREES and 0 < shape[1] <= _MOST_NODES
        if not fits or any(table.shape != shape or not np.isfinite(table).all() for table in tables.values()):
            raise ValueError("its trees have numbers that cannot be")
        whole = {name: tables[name].astype(np.int64) for name in ("feature", "left", "right")}
        if any((whole[name] != tables[name]).any() for name in whole):
            raise ValueError("its trees have numbers that cannot be")
        own = np.arange(shape[1])
        leaf = (whole["left"] == own) & (whole["right"] == own)
        inner = (
            (whole["left"] > own) & (whole["right"] > own) & (whole["left"] < shape[1]) & (whole["right"] < shape[1])
        )
        if not (leaf | inner).all() or whole["feature"].min() < 0 or whole["feature"].max() >= len(FEATURES):
            raise ValueError("its trees have nodes that lead nowhere")
        return cls(whole["feature"], tables["threshold"], whole["left"], whole["right"], tables["value"])

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {name: table.tolist() for name, table in self._asdict().items()}

    def sums(self, table: ScoreArray) -> ScoreArray:
        """The sum of the leaves that each row comes to. *Shapes:* (n, n_features) to (n,), float64."""
        every = np.arange(len(self.feature))[:, None]
        sums: ScoreArray = self.value[every, self._walked(table)[-1]].sum(axis=0)
        return sums

    def contributions(self, row: ScoreArray) -> dict[str, float]:
        """What each feature adds to a row's sum: the changes of the mean along the walks; the start is ``base``.

        Saabas, "Interpreting random forests", 2014. *Shape:* (n_features,).
        """
        parts = dict.fromkeys(("base", *FEATURES), 0.0)
        every = np.arange(len(self.feature))
        steps = [step[:, 0] for step in self._walked(row[None])]
        parts["base"] = float(self.value[every, steps[0]].sum())
        for before, after in pairwise(steps):
            changes = self.value[every, after] - self.value[every, before]
            for column, change in zip(self.feature[every, before].tolist(), changes.tolist(), strict=True):
                parts[FEATURES[column]] += change
        return parts

    def _walked(self, table: ScoreArray) -> list[IntArray]:
        """Where each row stands in each tree after each step. *Shape:* (n_trees, n) each."""
        every, rows = np.arange(len(self.feature))[:, None], np.arange(len(table))[None]
        steps = [np.zeros((len(self.feature), len(table)), dtype=np.int64)]
        while True:
            at = steps[-1]
            goes_left = table[rows, self.feature[every, at]] <= self.threshold[every, at]
            following = np.where(goes_left, self.left[every, at], self.right[every, at])
            if (following == at).all():
                return steps
            steps.append(following)


def fit_trees(judged: Sequence[Judged], seed: int) -> Trees:
    """Learns trees by LambdaMART.

    Burges, "From RankNet to LambdaRank to LambdaMART: An Overview", 2010, section 7; with lightgbm, its gains linear as
    nDCG's are here, cut at rank 10.

    Args:
        judged: Questions with known answers; those without a relevant candidate are left out.
        seed: Seed of everything random.

    Raises:
        MissingExtraError: lightgbm is not installed.
        ValueError: There is no question.
    """
    lightgbm = require("lightgbm", "lightgbm")
    usable = [each for each in judged if each.gains.sum() > 0]
    if not usable:
        raise ValueError("there is no question with a relevant candidate")
    tables = [features(each.evidence, each.facts) for each in usable]
    grades = np.concatenate([each.gains for each in usable]).astype(np.int64)
    data = lightgbm.Dataset(
        np.concatenate(tables), grades, group=[len(table) for table in tables], params={"verbosity": -1}
    )
    settings = {
        "objective": "lambdarank",
        "num_leaves": _LEAVES,
        "learning_rate": _RATE,
        "min_data_in_leaf": _LEAST,
        "lambda_l2": 1.0,
        "lambdarank_truncation_level": 10,
        "label_gain": list(range(int(grades.max()) + 1)),
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    booster = lightgbm.train(settings, data, num_boost_round=_ROUNDS)
    return _plain([each["tree_structure"] for each in booster.dump_model()["tree_info"]])


def _plain(roots: Sequence[Mapping[str, Any]]) -> Trees:
    """Trees as tables, from lightgbm's nested nodes; all splits there are ``<=`` and nothing is missing."""
    flat = [_nodes(root) for root in roots]
    width = max(map(len, flat))
    own = np.tile(np.arange(width), (len(flat), 1))
    trees = Trees(np.zeros_like(own), np.zeros(own.shape), own.copy(), own.copy(), np.zeros(own.shape))
    for at, nodes in enumerate(flat):
        for place, (feature, threshold, left, right, value) in enumerate(nodes):
            trees.feature[at, place], trees.threshold[at, place] = feature, threshold
            trees.left[at, place], trees.right[at, place], trees.value[at, place] = left, right, value
    return trees


def _nodes(root: Mapping[str, Any]) -> list[tuple[int, float, int, int, float]]:
    """A tree's nodes, parents before their children."""
    waiting, made = [root], list[tuple[int, float, int, int, float]]()
    while len(made) < len(waiting):
        node, place = waiting[len(made)], len(made)
        if "split_feature" in node:
            following = len(waiting)
            waiting += [node["left_child"], node["right_child"]]
            made.append(
                (node["split_feature"], node["threshold"], following, following + 1, float(node["internal_value"]))
            )
        else:
            made.append((0, 0.0, place, place, float(node["leaf_value"])))
    return made
