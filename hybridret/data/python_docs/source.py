"""Reads the standard library's Python source with ``ast``: what each module defines, imports and exports."""

from __future__ import annotations

import ast
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_NOT_DOCUMENTATION = {
    "antigravity", "config", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data",
    "test", "tests", "this", "turtledemo", "__main__", "__pycache__",
}  # fmt: skip
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass
class Module:
    """A parsed module: definitions, simple aliases and imports at its top level, also inside ``if`` and ``try``."""

    name: str
    is_package: bool
    docstring: str
    exports: list[str] | None = None
    definitions: dict[str, Definition] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    star_imports: list[str] = field(default_factory=list)

    def public_names(self) -> list[str]:
        """The names that the module offers: ``__all__``, or what it defines without a leading underscore."""
        if self.exports is not None:
            return self.exports
        names = [*self.definitions, *self.aliases]
        names += [name for name, (source, _) in self.imports.items() if self._re_exports(source)]
        return [name for name in dict.fromkeys(names) if not name.startswith("_")]

    def _re_exports(self, source: str) -> bool:
        return source.startswith("_") or (self.is_package and source.startswith(self.name + "."))


def stdlib_modules() -> dict[str, Module]:
    """Parses every module of the standard library but tests, demos and vendored tools.

    Returns:
        Modules by dotted name.
    """
    root = Path(sysconfig.get_path("stdlib"))
    modules = {}
    for path in sorted(_python_files(root)):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[-1] in _NOT_DOCUMENTATION:
            continue
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        modules[name] = _read(name, is_package, tree)
    return modules


def _python_files(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _NOT_DOCUMENTATION and "-" not in name]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _read(name: str, is_package: bool, tree: ast.Module) -> Module:
    module = Module(name, is_package, ast.get_docstring(tree) or "")
    for node in statements(tree.body):
        if isinstance(node, Definition):
            module.definitions.setdefault(node.name, node)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, module)
            for alias in node.names:
                if alias.name == "*":
                    module.star_imports.append(source)
                else:
                    module.imports.setdefault(alias.asname or alias.name, (source, alias.name))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    module.aliases.setdefault(target.id, node.value)
        _collect_exports(node, module)
    return module


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields the statements of a body, entering ``if``, ``try`` and ``with`` blocks."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from statements(node.body)
            yield from statements(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                yield from statements(handler.body)


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    package = package[: len(package) - node.level + module.is_package]
    return ".".join([*package, *([node.module] if node.module else [])])


def _collect_exports(node: ast.stmt, module: Module) -> None:
    """Adds the literal part of an assignment or extension of ``__all__`` to the module's exports."""
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            _extend_exports(module, node.value)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        is_list_method = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
        if is_list_method and function.value.id == "__all__" and node.value.args:  # type: ignore[attr-defined]
            _extend_exports(module, node.value.args[0])


def _extend_exports(module: Module, node: ast.expr) -> None:
    names = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)]
    if names:
        module.exports = (module.exports or []) + names
