"""Causal diagrams: read from text, walked along, and asked which variables are independent given others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import PlanError, call, nearest

__all__ = ["Dag", "parse", "require"]

_CALL = "mifit.advise"
_EXAMPLE = "z -> x; z -> y; x -> y; z -> R_x"


@dataclass(frozen=True)
class Dag:
    """A directed acyclic graph.

    Parameters
    ----------
    parents : mapping
        Each node -> its parents.
    latent : set of str
        Nodes that nobody observes.
    """

    parents: Mapping[str, frozenset[str]]
    latent: frozenset[str] = frozenset()

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes, in the order of the text."""
        return tuple(self.parents)

    def children(self, node: str) -> frozenset[str]:
        """Nodes that an arrow leads to from a node."""
        return frozenset(n for n, above in self.parents.items() if node in above)

    def ancestors(self, nodes: Iterable[str]) -> frozenset[str]:
        """The nodes themselves and all from which an arrow leads to them, at once or through others."""
        found: set[str] = set()
        open_ = list(nodes)
        while open_:
            node = open_.pop()
            if node not in found:
                found.add(node)
                open_ += self.parents[node]
        return frozenset(found)

    def descendants(self, nodes: Iterable[str]) -> frozenset[str]:
        """The nodes themselves and all to which an arrow leads from them, at once or through others."""
        found: set[str] = set()
        open_ = list(nodes)
        while open_:
            node = open_.pop()
            if node not in found:
                found.add(node)
                open_ += self.children(node)
        return frozenset(found)

    def without_arrows_from(self, node: str) -> Dag:
        """The graph in which a node has no effect."""
        return Dag({n: above - {node} for n, above in self.parents.items()}, self.latent)

    def separated(self, one: Iterable[str], other: Iterable[str], given: Iterable[str] = ()) -> bool:
        """Whether two sets of nodes are d-separated by a third.

        Parameters
        ----------
        one, other, given : iterable of str
            Nodes that are in ``given`` too are left out of the first two.

        Returns
        -------
        bool

        Notes
        -----
        A walk from ``one`` is followed in both directions: through a node that is not given it goes on unless it
        collides there; through a collider only where the node or a descendant is given.

        References
        ----------
        Shachter, R. D. (1998). Bayes-Ball: the rational pastime. *Proceedings of the 14th Conference on Uncertainty in
        Artificial Intelligence*, 480-487.

        Examples
        --------
        >>> graph = parse("a -> c; b -> c")
        >>> graph.separated(["a"], ["b"]), graph.separated(["a"], ["b"], ["c"])
        (True, False)
        """
        held = frozenset(given)
        opened = self.ancestors(held)
        target = frozenset(other) - held
        walks = [(node, "up") for node in frozenset(one) - held]
        seen: set[tuple[str, str]] = set()
        while walks:
            node, came = walks.pop()
            if (node, came) in seen:
                continue
            seen.add((node, came))
            if node in target:
                return False
            if came == "up" and node not in held:  # from a child, or the start
                walks += [(above, "up") for above in self.parents[node]]
                walks += [(below, "down") for below in self.children(node)]
            elif came == "down":  # from a parent
                if node not in held:
                    walks += [(below, "down") for below in self.children(node)]
                if node in opened:
                    walks += [(above, "up") for above in self.parents[node]]
        return True


def parse(text: str) -> Dag:
    """Read a graph from text.

    Parameters
    ----------
    text : str
        Arrows, separated by semicolons or lines, in the way of dagitty: ``"a -> b; b <- c; a -> {c d}"``; chains
        ``"a -> b -> c"``; ``"a <-> b"`` for a common cause that nobody observes. ``dag { ... }`` around it and
        positions in square brackets are read over; ``u [latent]`` says that nobody observes u.

    Returns
    -------
    Dag

    Raises
    ------
    PlanError
        If a piece is no arrow, or arrows lead in a circle.

    Examples
    --------
    >>> parse("dag { z -> {x y} ; x -> y ; u [latent] }").parents["y"] == {"z", "x"}
    True
    """
    if not isinstance(text, str) or not text.strip():
        raise PlanError("the diagram is a text of arrows.", do=_do(_EXAMPLE))
    inner = re.sub(r"^\s*(?:dag|pdag|digraph)?\s*(?:\"[^\"]*\"|\w+)?\s*\{(.*)\}\s*$", r"\1", text, flags=re.DOTALL)
    parents: dict[str, set[str]] = {}
    latent: set[str] = set()
    for piece in re.split(r"[;\n]", re.sub(r"(?://|#).*", "", inner)):
        words = " ".join(re.findall(r"\[([^\]]*)\]", piece)).lower()
        plain = re.sub(r"\[[^\]]*\]", " ", piece).strip()
        if not plain or re.match(r"bb\s*=", plain):
            continue
        nodes = _chain(plain, parents, latent)
        if "latent" in words or "unobserved" in words:
            latent |= set(nodes)
    graph = Dag({node: frozenset(above) for node, above in parents.items()}, frozenset(latent))
    _refuse_circles(graph)
    return graph


def _do(text: str) -> str:
    """The call that reads a diagram."""
    return call(_CALL, text, outcome="y", exposure="x")


def _chain(piece: str, parents: dict[str, set[str]], latent: set[str]) -> list[str]:
    """Enter the arrows of one piece, such as ``a -> b <- c``; its nodes."""
    tokens = re.split(r"(<->|->|<-|--)", piece)
    groups = [_group(token) for token in tokens[::2]]
    arrows = tokens[1::2]
    if not all(groups) or "--" in arrows:
        raise PlanError(f"{piece!r} is no arrow.", do=_do(_EXAMPLE))
    for node in (node for group in groups for node in group):
        parents.setdefault(node, set())
    for left, arrow, right in zip(groups, arrows, groups[1:], strict=False):
        for a in left:
            for b in right:
                if arrow == "<->":
                    cause = f"U({a}, {b})"
                    parents.setdefault(cause, set())
                    latent.add(cause)
                    parents[a].add(cause)
                    parents[b].add(cause)
                else:
                    above, below = (a, b) if arrow == "->" else (b, a)
                    parents[below].add(above)
    return [node for group in groups for node in group]


def _group(text: str) -> list[str]:
    """Names between arrows: one, or several in braces."""
    inner = text.strip()
    braced = inner.startswith("{") and inner.endswith("}")
    names = re.findall(r'"([^"]+)"|([^\s,"{}<>]+)', inner[1:-1] if braced else inner)
    found = [quoted or plain for quoted, plain in names]
    return found if braced or len(found) == 1 else []


def _refuse_circles(graph: Dag) -> None:
    """Refuse arrows that lead back to where they began."""
    for node in graph.nodes:
        if node in graph.ancestors(graph.parents[node]):
            below = sorted(graph.descendants([node]) & graph.ancestors([node]))
            raise PlanError(f"arrows lead in a circle through {', '.join(map(repr, below))}.", do=_do(_EXAMPLE))


def require(graph: Dag, name: str, word: str) -> str:
    """Return a node, or refuse a name that is none."""
    if name not in graph.parents:
        raise PlanError(
            f"{word}= names {name!r}, which is no node of the diagram{nearest(name, graph.nodes)}.", do=_do(_EXAMPLE)
        )
    return name
