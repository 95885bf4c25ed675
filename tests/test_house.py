"""What holds for the tree as a whole."""

import ast
from pathlib import Path

import pytest

PREDICTORS = Path(__file__).parents[1] / "predictors" / "gapkit_predictors"


@pytest.mark.skipif(not PREDICTORS.is_dir(), reason="runs from a checkout only")
def test_bundled_predictors_reach_gapkit_through_public_names():
    imported = {
        node.module
        for path in PREDICTORS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "gapkit"
    }
    assert imported
    assert not [name for name in imported if any(part.startswith("_") for part in name.split("."))]
