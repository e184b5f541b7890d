"""How the documentation is built: `sphinx-build -W -n docs docs/_build`. It needs no network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "supportbench"
author = "the supportbench authors"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "command_help", "docstrings"]
exclude_patterns = ["_build", "_ext", "changelog.d"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "supportbench"
html_copy_source = False

# Options are written as they are typed: two hyphens are no dash.
smartquotes = False

# Docstrings mark code with single backticks, as Markdown does.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
add_module_names = False

nitpicky = True
nitpick_ignore_regex = [
    # Names of other projects: the build has no network and so no inventories to link them with.
    ("py:.*", r"(collections\.abc|contextlib|pathlib|pluggy|typing)\..*"),
    # Handed out by public objects, but not imported by plugins: their attributes may change.
    ("py:class", r"supportbench\..*\.(Catalogue|ChosenTask|Grader|Plugin|PluginSet)"),
    # Type variables have no page.
    ("py:class", r"(.*\.)?[KTV]"),
]
