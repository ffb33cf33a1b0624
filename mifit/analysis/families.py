"""statsmodels families as plain data: their class, their link and the numbers that belong to both."""

from __future__ import annotations

import difflib
import re
import warnings
from typing import Any

__all__ = ["code_of_family", "family_of", "nearest_family", "plain_family"]

#: class -> numbers it is made with
_FAMILIES: dict[str, tuple[str, ...]] = {
    "Binomial": (), "Gamma": (), "Gaussian": (), "InverseGaussian": (), "NegativeBinomial": ("alpha",), "Poisson": (),
    "Tweedie": ("var_power", "eql"),
}  # fmt: skip
_LINKS: dict[str, tuple[str, ...]] = {
    "CLogLog": (), "Cauchy": (), "Identity": (), "InversePower": (), "InverseSquared": (), "Log": (), "LogC": (),
    "LogLog": (), "Logit": (), "NegativeBinomial": ("alpha",), "Power": ("power",), "Probit": (), "Sqrt": (),
}  # fmt: skip


def nearest_family(name: Any) -> str:
    """The family that a word or a class may mean.

    Examples
    --------
    >>> nearest_family("binomial"), nearest_family("inverse.gaussian"), nearest_family("quasi")
    ('Binomial', 'InverseGaussian', 'Poisson')
    """
    word = re.sub("[^a-z]", "", str(getattr(name, "__name__", name)).lower())
    by_word = {family.lower(): family for family in _FAMILIES}
    close = difflib.get_close_matches(word, by_word, 1)
    return by_word[close[0]] if close else "Poisson"


def plain_family(family: Any) -> dict[str, Any] | None:
    """A statsmodels family as plain data; None for anything else, or a class derived from one.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> plain_family(sm.families.Poisson())
    {'family': 'Poisson', 'of': {}, 'link': 'Log', 'by': {}}
    """
    link = getattr(family, "link", None)
    name, linked = type(family).__name__, type(link).__name__
    for one, known in ((family, _FAMILIES), (link, _LINKS)):
        if type(one).__name__ not in known or not type(one).__module__.startswith("statsmodels.genmod.families."):
            return None
    own = {word: getattr(family, word) for word in _FAMILIES[name]}
    return {"family": name, "of": own, "link": linked, "by": {word: getattr(link, word) for word in _LINKS[linked]}}


def family_of(plain: Any) -> Any:
    """The family that plain data describe.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they describe none.
    """
    from statsmodels.genmod import families

    name, linked = plain["family"], plain["link"]
    for numbers, words in ((plain["of"], _FAMILIES[name]), (plain["by"], _LINKS[linked])):
        if set(numbers) != set(words) or not all(isinstance(value, bool | int | float) for value in numbers.values()):
            raise ValueError(f"the family {name} is not made so")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a link that its family does not advise was advised against before
        return getattr(families, name)(link=getattr(families.links, linked)(**plain["by"]), **plain["of"])


def code_of_family(family: Any) -> str:
    """A family as a user would write it.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> code_of_family(sm.families.NegativeBinomial(sm.families.links.Identity(), alpha=0.5))
    'sm.families.NegativeBinomial(sm.families.links.Identity(), alpha=0.5)'
    """
    name, link = type(family).__name__, type(family.link).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the negative binomial says that it was not told its alpha
        usual = type(family)()
    by = [f"{word}={getattr(family.link, word)!r}" for word in _LINKS.get(link, ())]
    own = [f"{w}={getattr(family, w)!r}" for w in _FAMILIES.get(name, ()) if getattr(family, w) != getattr(usual, w)]
    parts = [] if link == type(usual.link).__name__ and not by else [f"sm.families.links.{link}({', '.join(by)})"]
    odd = type(family.link) not in getattr(family, "links", [type(family.link)])
    return f"sm.families.{name}({', '.join([*parts, *own, *(['check_link=False'] if odd else [])])})"
