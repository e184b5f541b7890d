"""A plugin of pytest, `-p tests.words.without_compiled`: everything runs as where no compiler was."""

from __future__ import annotations

import sys
from typing import Any, cast

cast("dict[str, Any]", sys.modules)["supportbench.words.compiled"] = None
