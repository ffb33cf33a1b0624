"""How Sphinx makes the documentation: ``sphinx-build -W docs docs/_build``."""

import sys
import tomllib
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # mifit need not be installed; what it imports has to be

project = "mifit"
author = "the mifit developers"
copyright = "2026, the mifit developers"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
templates_path = ["_templates"]
nitpicky = False

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "mifit"
html_show_sphinx = False
html_math_renderer = "mathml"


def setup(app):
    """Write formulas as MathML: browsers draw it without a network."""
    app.add_html_math_renderer("mathml", (drawn("inline"), None), (drawn("block"), None))
    app.connect("autodoc-skip-member", without_routing)


def without_routing(app, what, name, member, skip, options):
    """Leave out the methods that scikit-learn adds to every estimator: their texts point into its own pages."""
    return True if name.endswith("_request") or name == "get_metadata_routing" else None


def drawn(display):
    """Return what writes a formula within a line or as a block."""

    def visit(writer, node):
        writer.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit
