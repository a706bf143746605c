"""What goes into the wheel: the reader of sets and the modules that it imports, as the package chestgan_reader.

A package of its own name, because two distributions with files of one package damage each other when one is removed.
"""

import ast
import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TARGET = "chestgan_core", "chestgan_reader"
READER = f"{SOURCE}.publishing.reader"


class CopyReader(BuildHookInterface[Any]):
    """Called by hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy the modules, renamed, into a folder that the wheel includes."""
        self._copies = tempfile.TemporaryDirectory()  # ends with the process, after the wheel was written
        folder = Path(self._copies.name)
        for name in modules():
            source = _file(name)
            path = folder / source.relative_to(ROOT / SOURCE)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                re.sub(rf"\b{SOURCE}\b", TARGET, source.read_text(encoding="utf-8")), encoding="utf-8"
            )
        for place in {
            parent for path in folder.rglob("*.py") for parent in path.parents if folder in parent.parents
        }:
            init = place / "__init__.py"
            if not init.exists():
                init.write_text(f'"""Part of {TARGET}."""\n', encoding="utf-8")
        lines = (
            '"""Read published synthetic sets. The same code as chestgan_core.publishing.reader."""\n',
            f"from {TARGET}.publishing.reader import open_set, read_set\n",
            f'__version__ = "{self.metadata.version}"\n__all__ = ["open_set", "read_set"]\n',
        )
        (folder / "__init__.py").write_text("\n".join(lines), encoding="utf-8")
        (folder / "py.typed").touch()
        build_data["force_include"][str(folder)] = TARGET


def modules() -> list[str]:
    """The modules of the reader, and all modules of chestgan_core that they import, directly or not."""
    files = (ROOT / READER.replace(".", "/")).glob("*.py")
    waiting = [f"{READER}.{path.stem}".removesuffix(".__init__") for path in files]
    found: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += _imported(name)
    return sorted(found)


def _imported(name: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(_file(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    ours = [one for one in names if one.startswith(f"{SOURCE}.")]
    return [one for one in ours if (ROOT / one.replace(".", "/")).with_suffix(".py").is_file()]


def _file(name: str) -> Path:
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
