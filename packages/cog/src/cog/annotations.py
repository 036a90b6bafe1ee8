"""Reading type annotations: resolving them, and taking unions, lists and markers apart.

The schema and the worker's input coercion both stand on these few functions, so that they cannot disagree about what a type is.
"""

from __future__ import annotations

import ast
import sys
import types
import typing
from typing import Any, Callable, Dict, List, Literal, Optional, Tuple, Union


class Opaque:
    """A marker: ``Annotated[T, Opaque]`` is described as an object, whatever ``T`` is."""


_UNION_TYPES: Tuple[Any, ...] = (Union, types.UnionType) if sys.version_info >= (3, 10) else (Union,)


class _UnionSpeller(ast.NodeTransformer):
    """Writes ``A | B`` as ``Union[A, B]``, for interpreters older than the operator."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        members = ast.Tuple(elts=[node.left, node.right], ctx=ast.Load())
        return ast.Subscript(value=ast.Name(id="__union__", ctx=ast.Load()), slice=members, ctx=ast.Load())


def _evaluate(text: str, names: Dict[str, Any]) -> Any:
    """The value of a quoted annotation."""
    tree = ast.parse(text.strip(), mode="eval")
    if sys.version_info < (3, 10):
        tree = ast.fix_missing_locations(_UnionSpeller().visit(tree))
    # The text is the model's own source, which was just imported: evaluating it runs nothing that has not run.
    return eval(compile(tree, "<annotation>", "eval"), {**names, "__union__": Union})  # noqa: S307


def resolve_annotations(target: Callable[..., Any]) -> Dict[str, Any]:
    """The annotations of a function or class with quoted ones evaluated, ``Annotated`` kept.

    Raises:
        NameError: If a quoted annotation names something the module does not have.
    """
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (TypeError, NameError, SyntaxError):
        return _resolve_by_hand(target)


def _resolve_by_hand(target: Callable[..., Any]) -> Dict[str, Any]:
    """The same where ``typing`` gives up: ``A | B`` in quotes on interpreters that lack the operator."""
    module = sys.modules.get(getattr(target, "__module__", "") or "")
    names = {**vars(typing), **getattr(module, "__dict__", {}), **getattr(target, "__globals__", {})}
    resolved = {}
    for name, annotation in getattr(target, "__annotations__", {}).items():
        value = _evaluate(annotation, names) if isinstance(annotation, str) else annotation
        resolved[name] = resolve_forward(value, names)
    return resolved


def resolve_forward(annotation: Any, names: Optional[Dict[str, Any]] = None) -> Any:
    """Evaluate a forward reference left inside an annotation; None stands for its type."""
    if isinstance(annotation, typing.ForwardRef):
        return _evaluate(annotation.__forward_arg__, names or vars(typing))
    return type(None) if annotation is None else annotation


def strip_annotated(annotation: Any) -> Any:
    """``T`` of ``Annotated[T, …]``, or `Opaque` when that marker is among the rest."""
    while typing.get_origin(annotation) is typing.Annotated:
        if any(item is Opaque or isinstance(item, Opaque) for item in annotation.__metadata__):
            return Opaque
        annotation = annotation.__origin__
    return annotation


def is_union(annotation: Any) -> bool:
    """Whether it is ``Union[…]`` or ``A | B``."""
    return typing.get_origin(annotation) in _UNION_TYPES


def split_optional(annotation: Any) -> Tuple[List[Any], bool]:
    """The members of a union without None (one member when it is no union), and whether None was among them."""
    annotation = strip_annotated(annotation)
    if not is_union(annotation):
        return [annotation], False
    members: List[Any] = []
    is_nullable = False
    for member in typing.get_args(annotation):
        if member is type(None):
            is_nullable = True
            continue
        inner, inner_nullable = split_optional(member)
        members += [item for item in inner if item not in members]
        is_nullable = is_nullable or inner_nullable
    return members, is_nullable


def literal_values(annotation: Any) -> Optional[Tuple[Any, ...]]:
    """The values of ``Literal[…]``, or None for any other annotation."""
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else None


def list_item(annotation: Any) -> Optional[Any]:
    """The element type of a list annotation (Any for a bare one), or None when it is no list."""
    if annotation in {list, List}:
        return Any
    if typing.get_origin(annotation) is list:
        arguments = typing.get_args(annotation)
        return arguments[0] if arguments and not isinstance(arguments[0], typing.TypeVar) else Any
    return None


def describe(annotation: Any) -> str:
    """An annotation as an author would write it."""
    return (
        getattr(annotation, "__name__", "")
        if isinstance(annotation, type) and not typing.get_args(annotation)
        else str(annotation)
    )
