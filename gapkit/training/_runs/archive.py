"""Programs of torch.export in a file that holds no code but calls of tensor functions.

`torch.export.load` trusts its file: weights may be pickled, sizes are expressions that SymPy
evaluates, guards are Python, and a call may name any function of torch. What is written here has
none of these, and what is read is refused by an allow-list before torch sees it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from gapkit.errors import DataError

_ABOUT = "gapkit.json"
_ENTRY = re.compile(
    r"(data/(weights|constants)/((weight|tensor)_\d+|model_(weights|constants)_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json|extra/gapkit\.json"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id))"
)
_PAYLOAD = re.compile(r"(weight|tensor)_\d+")
# Sums, products and bounds of the sizes that are open.
_EXPRESSION = re.compile(
    r"(Symbol\('[a-z]\d{1,4}'(, (positive|integer|nonnegative)=True)*\)"
    r"|Integer|Add|Mul|Max|Min|FloorDiv|Mod|Pow|-?\d{1,10}|[(), ])*"
)
_CALL = re.compile(
    r"torch\.ops\.aten\.(?!from_file)[a-z_0-9]+\.[A-Za-z_0-9]+"
    r"|_operator\.(add|sub|mul|neg|floordiv|mod|getitem|eq|ne|lt|le|gt|ge)"
    r"|torch\.sym_(int|max|min|float|not)"
)
_TREES = ("builtins.dict", "builtins.list", "builtins.tuple", None)
_DROPPED = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "custom", "from_node")


def program_to_bytes(program: ExportedProgram, about: str) -> bytes:
    """The file of a program, with what gapkit says of it."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta = {key: node.meta[key] for key in node.meta if key not in _DROPPED}
    program._guards_code = []
    program._example_inputs = None
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={_ABOUT: about})
    return buffer.getvalue()


def read_program(path: Path) -> tuple[ExportedProgram, bytes]:
    """The program of a file, and what gapkit says of it; DataError where it may hold code."""
    content = path.read_bytes()
    try:
        about = _check(content, path)
        with io.BytesIO(content) as buffer:
            return torch.export.load(buffer), about
    except DataError:
        raise
    except Exception as error:  # of zipfile, JSON and many of torch
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{path}: damaged or no program of torch.export ({reason}).") from None


def _check(content: bytes, path: Path) -> bytes:
    """Refuse whatever is not known to be harmless."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        root = names[0].partition("/")[0]
        entries = [name.removeprefix(f"{root}/") for name in names]
        wrong = [entry for entry in entries if not _ENTRY.fullmatch(entry)]
        if wrong or len(set(entries)) != len(entries):
            raise _refused(path, f"entry {wrong[0] if wrong else 'twice'!r}")
        if f"extra/{_ABOUT}" not in entries:
            raise DataError(f"{path}: not exported by gapkit. Make it with gapkit export RUN.")

        def read(entry: str) -> bytes:
            return archive.read(f"{root}/{entry}")

        if read("data/sample_inputs/model.pt"):
            raise _refused(path, "pickled inputs")
        for what in ("weights", "constants"):
            config = json.loads(read(f"data/{what}/model_{what}_config.json"))["config"]
            for name, payload in config.items():
                if payload["use_pickle"] is not False or not _PAYLOAD.fullmatch(
                    payload["path_name"]
                ):
                    raise _refused(path, f"pickled {name!r}")
        _check_node(json.loads(read("models/model.json")), "", path)
        return read(f"extra/{_ABOUT}")


def _check_node(node: Any, key: str, path: Path) -> None:
    """Walk the program's JSON; what torch evaluates or looks up must be on the lists."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "metadata" and value not in ({}, None):
                raise _refused(path, "metadata")
            if name in ("guards_code", "as_custom_obj", "as_operator") and value:
                raise _refused(path, name)
            _check_node(value, name, path)
    elif isinstance(node, list):
        for value in node:
            _check_node(value, key, path)
    elif isinstance(node, str):
        allowed = True
        if key in ("expr_str", "as_expr"):
            allowed = _EXPRESSION.fullmatch(node) is not None
        elif key == "target":
            allowed = _CALL.fullmatch(node) is not None
        elif key in ("in_spec", "out_spec"):
            allowed = _is_plain_tree(json.loads(node))
        if not allowed:
            raise _refused(path, f"{key} {node[:80]!r}")


def _is_plain_tree(spec: Any) -> bool:
    """Whether a serialised structure is of dicts, lists and tuples alone."""
    if isinstance(spec, list):
        return all(map(_is_plain_tree, spec))
    if isinstance(spec, dict):
        if "__enum__" in spec or spec.get("type") not in _TREES:
            return False
        context = spec.get("context")
        if isinstance(context, str) and "__enum__" in context:
            return False
        return all(map(_is_plain_tree, spec.get("children_spec", [])))
    return True


def _refused(path: Path, what: str) -> DataError:
    return DataError(
        f"{path}: holds {what}, which gapkit does not write and could run code. "
        f"Make it with gapkit export RUN."
    )
