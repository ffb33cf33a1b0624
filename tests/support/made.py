"""A plan and the table as it reads it, for tests of the chains."""

from typing import Any

from mifit.frame.table import Table
from mifit.imputation import make_plan
from mifit.imputation.plan.plan import Plan

__all__ = ["make"]


def make(*args: Any, **words: Any) -> tuple[Plan, Table]:
    """What :func:`mifit.imputation.make_plan.make` decides, and the table that its chains run on."""
    plan, designs = make_plan.make(*args, **words)
    return plan, designs.table
