"""Causal diagrams: read as dagitty writes them; d-separation against two other definitions on random graphs."""

import itertools

import numpy as np
import pytest

import mifit
from mifit.planning.dag import Dag, parse


def random_dag(rng, n):
    names = list("abcdefg"[:n])
    rng.shuffle(names)
    density = rng.uniform(0.1, 0.7)
    return Dag({b: frozenset(a for a in names[:k] if rng.random() < density) for k, b in enumerate(names)})


def by_moral_graph(graph, one, other, given):
    """Lauritzen's definition: separation in the moral graph of the smallest ancestral set."""
    kept = graph.ancestors({*one, *other, *given})
    near = {n: set() for n in kept}
    for node in kept:
        for a, b in itertools.combinations([node, *graph.parents[node]], 2):
            near[a].add(b)
            near[b].add(a)
    reached, open_ = set(), [n for n in one if n not in given]
    while open_:
        node = open_.pop()
        if node not in reached:
            reached.add(node)
            open_ += [n for n in near[node] if n not in given]
    return not reached & (set(other) - set(given))


def by_paths(graph, a, b, given):
    """Pearl's definition: every path without a repeated node is blocked."""
    near = {n: graph.parents[n] | graph.children(n) for n in graph.nodes}
    opened = graph.ancestors(given)

    def is_open(path):
        for left, node, right in zip(path, path[1:], path[2:], strict=False):
            collides = left in graph.parents[node] and right in graph.parents[node]
            if node not in opened if collides else node in given:
                return False
        return True

    def walk(path):
        if path[-1] == b:
            return is_open(path)
        return any(walk([*path, n]) for n in near[path[-1]] if n not in path)

    return not walk([a])


def test_d_separation_agrees_with_both_definitions_on_random_graphs():
    rng = np.random.default_rng(1)
    answers = []
    for _ in range(250):
        graph = random_dag(rng, int(rng.integers(3, 7)))
        a, b, *rest = rng.permutation(graph.nodes).tolist()
        given = [n for n in rest if rng.random() < 0.4]
        found = graph.separated([a], [b], given)
        assert found == by_moral_graph(graph, [a], [b], given) == by_paths(graph, a, b, given), (graph, a, b, given)
        answers.append(found)
    assert 50 < sum(answers) < 220


def test_sets_are_separated_if_all_their_members_are():
    rng = np.random.default_rng(2)
    for _ in range(150):
        graph = random_dag(rng, 6)
        a, b, c, d, *rest = rng.permutation(graph.nodes).tolist()
        given = rest[: int(rng.integers(0, 3))]
        each = all(graph.separated([one], [other], given) for one in (a, b) for other in (c, d))
        assert graph.separated([a, b], [c, d], given) == each == by_moral_graph(graph, [a, b], [c, d], given)


@pytest.mark.parametrize(
    "text",
    [
        "z -> x; z -> y; x -> y",
        "x <- z -> y <- x",
        "z -> {x y}\nx -> y",
        'dag {\nbb="0,0,1,1"\nx [exposure,pos="1,2"]\ny [outcome]\nz\nz -> x\nz -> y [pos="1,1"]\nx -> y\n}',
        '"z" -> "x"; {z x} -> y',
        "dag g { z -> x -> y; z -> y // a note\n}",
    ],
)
def test_the_ways_to_write_a_diagram_mean_the_same(text):
    parents = {node: set(above) for node, above in parse(text).parents.items()}
    assert parents == {"x": {"z"}, "y": {"z", "x"}, "z": set()}


def test_common_causes_that_nobody_observes_are_nodes():
    graph = parse("a <-> b; u [latent]; u -> a")
    assert graph.latent == {"u", "U(a, b)"} and graph.parents["a"] == {"u", "U(a, b)"}
    assert not graph.separated(["a"], ["b"])


@pytest.mark.parametrize("text", ["", "a b", "a -- b", "a -> ", "a -> b; b -> a", "a -> b -> c -> a", 3])
def test_what_is_no_diagram_is_refused_with_one(text):
    with pytest.raises(mifit.PlanError) as error:
        parse(text)
    assert eval(str(error.value.do), {"mifit": mifit}).identified
