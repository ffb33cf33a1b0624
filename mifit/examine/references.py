"""The literature behind an imputation: complete citations, numbered as they are first named."""

from __future__ import annotations

__all__ = ["KNOWN", "Numbered", "software"]

#: key -> complete citation; the methods' own stand in their ``reference``
KNOWN = {
    "mar": "Rubin, D. B. (1976). Inference and missing data. Biometrika 63(3), 581-592. doi:10.1093/biomet/63.3.581",
    "rubin": "Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. New York: Wiley. "
    "doi:10.1002/9780470316696",
    "compatible": "Bartlett, J. W., Seaman, S. R., White, I. R. and Carpenter, J. R. (2015). Multiple imputation of "
    "covariates by fully conditional specification: accommodating the substantive model. Statistical Methods in "
    "Medical Research 24(4), 462-487. doi:10.1177/0962280214521348",
    "chained": "van Buuren, S., Brand, J. P. L., Groothuis-Oudshoorn, C. G. M. and Rubin, D. B. (2006). Fully "
    "conditional specification in multivariate imputation. Journal of Statistical Computation and Simulation 76(12), "
    "1049-1064. doi:10.1080/10629360600810434",
    "chained practice": "White, I. R., Royston, P. and Wood, A. M. (2011). Multiple imputation using chained "
    "equations: issues and guidance for practice. Statistics in Medicine 30(4), 377-399. doi:10.1002/sim.4067",
    "barnard-rubin": "Barnard, J. and Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation. "
    "Biometrika 86(4), 948-955. doi:10.1093/biomet/86.4.948",
    "how many": "von Hippel, P. T. (2020). How many imputations do you need? A two-stage calculation using a "
    "quadratic rule. Sociological Methods & Research 49(3), 699-718. doi:10.1177/0049124117747303",
    "separation": "White, I. R., Daniel, R. and Royston, P. (2010). Avoiding bias due to perfect prediction in "
    "multiple imputation of incomplete categorical variables. Computational Statistics & Data Analysis 54(10), "
    "2267-2275. doi:10.1016/j.csda.2010.04.005",
    "statsmodels": "Seabold, S. and Perktold, J. (2010). statsmodels: econometric and statistical modeling with "
    "Python. Proceedings of the 9th Python in Science Conference, 92-96. doi:10.25080/Majora-92bf1922-011",
}


class Numbered:
    """Citations in the order in which a text names them, each once.

    Examples
    --------
    >>> cited = Numbered()
    >>> cited("rubin"), cited("mar", "rubin"), cited()
    (' [1]', ' [1, 2]', '')
    >>> len(cited.citations)
    2
    """

    def __init__(self) -> None:
        self.citations: list[str] = []

    def __call__(self, *wanted: str) -> str:
        """Return the mark of some citations, by key or in full, with a blank before it; empty for none."""
        for one in (KNOWN.get(key, key) for key in wanted):
            if one not in self.citations:
                self.citations.append(one)
        numbers = sorted({self.citations.index(KNOWN.get(key, key)) + 1 for key in wanted})
        return f" [{', '.join(map(str, numbers))}]" if numbers else ""


def software(version: str) -> str:
    """Return how the package itself is cited."""
    return (
        f"The mifit developers (2026). mifit: multiple imputation for statsmodels formulas, version {version} "
        "[computer software]"
    )
