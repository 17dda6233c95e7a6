"""The built-in corpus: the documentation of the Python interpreter that runs this.

One document for each public module, class, function, method and property of the standard library that
has a docstring, and one for each section of the language reference that ``pydoc`` ships. Python modules
are read with ``ast``, so that nothing is imported for its side effects; only modules written in C, which
have no source to read, are imported and inspected.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hybridret.data.python_docs.source import Definition, Module, statements, stdlib_modules
from hybridret.types import Document

_PUBLIC_NAME = {"builtins": "", "posixpath": "os.path"}
_IMPLEMENTATION = {"posix", "nt", "ntpath", "genericpath", "nturl2path", "sre_compile", "sre_constants", "sre_parse"}
_SINCE = re.compile(r"(?:New|Added) in (?:version|Python) (\d+\.\d+)", re.IGNORECASE)
_DEPRECATED = re.compile(r"\bdeprecated\b(?:[^.]{0,30}?(\d+\.\d+))?", re.IGNORECASE)


def python_docs() -> list[Document]:
    """Reads the running interpreter's documentation.

    Returns:
        Documents sorted by id. Ids are qualified names (``shutil.rmtree``, ``str.join``) or, for the language
        reference, ``reference:`` and the topic. Metadata: module, kind, name, and since or deprecated where
        the text states them.
    """
    found: dict[str, Document] = {}
    for document in [*_Library().documents(), *_reference()]:
        found.setdefault(document.doc_id, document)
    return [found[doc_id] for doc_id in sorted(found)]


class _Source(NamedTuple):
    """A definition in Python source and the dotted path of what holds it."""

    node: Definition
    owner: str


class _Library:
    """Resolves public names to their definitions; each definition is documented once, under its shortest name."""

    def __init__(self) -> None:
        self.modules = stdlib_modules()
        self.seen_sources: set[_Source] = set()
        self.seen_objects: dict[int, Any] = {}

    def documents(self) -> Iterator[Document]:
        public = [name for name in self.modules if not any(part.startswith("_") for part in name.split("."))]
        public += [name for name in _c_module_names() if not name.startswith("_") and name not in self.modules]
        public = [name for name in public if name not in _IMPLEMENTATION]
        for name in sorted(public, key=lambda name: (name != "builtins", name.count("."), name)):
            module = self.modules.get(name)
            yield from self._c_module(name) if module is None else self._python_module(module)

    def _python_module(self, module: Module) -> Iterator[Document]:
        public = _PUBLIC_NAME.get(module.name, module.name)
        if module.docstring:
            yield _document(public, public, "module", public, module.docstring)
        found = {name: self._resolve(module, name) for name in self._names_of(module.name)}
        for name, item in sorted(found.items(), key=lambda entry: _is_class(entry[1])):
            if isinstance(item, _Source):
                yield from self._defined(item, _join(public, name), public)
            elif item is not None:
                yield from self._inspected(item, _join(public, name), public)

    def _c_module(self, name: str) -> Iterator[Document]:
        module = _import(name)
        if module is None:
            return
        public = _PUBLIC_NAME.get(name, name)
        if inspect.getdoc(module):
            yield _document(name, name, "module", name, inspect.getdoc(module) or "")
        for attribute in self._names_of(name):
            item = getattr(module, attribute)
            if name == "sys":  # a program may have replaced sys.excepthook and its like
                item = getattr(module, f"__{attribute}__", item)
            yield from self._inspected(item, _join(public, attribute), name)

    def _names_of(self, name: str) -> list[str]:
        """The public names of a module, those of its star imports included; a class under its own name first."""
        if name not in self.modules:
            items = {key: item for key, item in vars(_import(name) or object).items() if not key.startswith("_")}
            return sorted(items, key=lambda key: (getattr(items[key], "__name__", key) != key, key))
        module = self.modules[name]
        names = module.public_names()
        for source in module.star_imports:
            if module.exports is None or source not in self.modules:
                names = [*names, *self._names_of(source)]
        return [key for key in dict.fromkeys(names) if not key.startswith("_")]

    def _resolve(self, module: Module, name: str, depth: int = 0) -> Any:
        """Finds the source or the C object that a name of a module stands for; None where it is neither."""
        if depth > 8:
            return None
        if name in module.definitions:
            return _Source(module.definitions[name], module.name)
        if name in module.aliases:
            return self._resolve_alias(module, module.aliases[name], depth)
        if name in module.imports:
            return self._resolve_import(*module.imports[name], depth)
        for source in module.star_imports:
            if name in self._names_of(source):
                return self._resolve_import(source, name, depth)
        if module.is_package:
            for other in self.modules.values():
                if other.name.rpartition(".")[0] == module.name and name in other.definitions:
                    return _Source(other.definitions[name], other.name)
        return None

    def _resolve_import(self, source: str, name: str, depth: int) -> Any:
        if source in self.modules:
            return self._resolve(self.modules[source], name, depth + 1)
        return getattr(_import(source), name, None)

    def _resolve_alias(self, module: Module, value: ast.expr, depth: int) -> Any:
        """Follows ``name = other`` and ``name = instance.method`` as the module random writes them."""
        if isinstance(value, ast.Name):
            return self._resolve(module, value.id, depth + 1)
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
            instance = module.aliases.get(value.value.id)
            if isinstance(instance, ast.Call) and isinstance(instance.func, ast.Name):
                cls = module.definitions.get(instance.func.id)
                if isinstance(cls, ast.ClassDef):
                    for node in statements(cls.body):
                        if isinstance(node, Definition) and node.name == value.attr:
                            return _Source(node, f"{module.name}.{cls.name}")
        return None

    def _defined(self, source: _Source, name: str, module: str, in_class: bool = False) -> Iterator[Document]:
        node = source.node
        if source in self.seen_sources:
            return
        self.seen_sources.add(source)
        docstring = ast.get_docstring(node)
        if docstring:
            yield _document(name, module, _kind(node, in_class), _signature(name, node), docstring)
        if isinstance(node, ast.ClassDef):
            for member in self._members(source):
                yield from self._defined(member, f"{name}.{member.node.name}", module, in_class=True)

    def _members(self, source: _Source) -> Iterator[_Source]:
        """The public methods of a class and of its private bases in the same module."""
        assert isinstance(source.node, ast.ClassDef)
        for member in statements(source.node.body):
            if isinstance(member, Definition) and not member.name.startswith("_"):
                yield _Source(member, f"{source.owner}.{source.node.name}")
        for base in source.node.bases:
            module = self.modules.get(source.owner)
            if module and isinstance(base, ast.Name) and base.id.startswith("_"):
                parent = module.definitions.get(base.id)
                if isinstance(parent, ast.ClassDef):
                    yield from self._members(_Source(parent, source.owner))

    def _inspected(self, item: Any, name: str, module: str, in_class: bool = False) -> Iterator[Document]:
        is_class = inspect.isclass(item)
        if id(item) in self.seen_objects or not (is_class or inspect.isroutine(item) or inspect.isdatadescriptor(item)):
            return
        self.seen_objects[id(item)] = item
        docstring = inspect.getdoc(item) or ""
        if docstring:
            kind = "class" if is_class else "property" if inspect.isdatadescriptor(item) else "function"
            title = name + re.sub(r"\$\w+(, /)?(, )?", "", getattr(item, "__text_signature__", None) or "")
            yield _document(name, module, "method" if in_class and kind == "function" else kind, title, docstring)
        for attribute, member in sorted(vars(item).items()) if is_class else ():
            if not attribute.startswith("_"):
                bound = getattr(item, attribute) if isinstance(member, classmethod | staticmethod) else member
                yield from self._inspected(bound, f"{name}.{attribute}", module, in_class=True)


def _reference() -> Iterator[Document]:
    """The language reference as ``pydoc`` ships it: a module that holds one dictionary of texts."""
    path = Path(sysconfig.get_path("stdlib"), "pydoc_data", "topics.py")
    if not path.is_file():
        return
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign):
            for topic, text in ast.literal_eval(node.value).items():
                lines = [line for line in text.splitlines() if not re.fullmatch(r"[*=\-]{3,}", line)]
                heading, _, body = "\n".join(lines).strip().partition("\n")
                yield _document(f"reference:{topic}", "reference", "reference", heading, body)


def _c_module_names() -> list[str]:
    folder = Path(sysconfig.get_path("stdlib"), "lib-dynload")
    names = set(sys.builtin_module_names) | {path.name.partition(".")[0] for path in folder.glob("*.so")}
    return sorted(name for name in names if not name.startswith(("_test", "_xx", "xx")))


def _import(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name) if name in _c_module_names() else None
        except ImportError:
            return None


def _is_class(item: Any) -> bool:
    return isinstance(item.node, ast.ClassDef) if isinstance(item, _Source) else inspect.isclass(item)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _kind(node: Definition, in_class: bool) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return "property" if decorators & {"property", "cached_property"} else "method" if in_class else "function"


def _signature(name: str, node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        return name
    arguments = ast.unparse(node.args)
    return f"{name}({re.sub(r'^(self|cls)(, |$)', '', arguments)})"


def _document(name: str, module: str, kind: str, title: str, text: str) -> Document:
    metadata: dict[str, Any] = {"module": module, "kind": kind, "name": name.removeprefix("reference:")}
    if since := _SINCE.search(text):
        metadata["since"] = since[1]
    if kind != "reference" and (deprecated := _DEPRECATED.search(text)):
        metadata["deprecated"] = deprecated[1] or True
    return Document(name, f"{title}\n{text}", metadata)
