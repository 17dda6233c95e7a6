"""LangChain's structured queries as filters, for ``SelfQueryRetriever``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.structured_query import Comparator, Comparison, Operation, Operator, StructuredQuery, Visitor


class HybridTranslator(Visitor):
    """Translates structured queries for ``HybridVectorStore``.

    ``contain`` asks whether a list has a value. Dates are compared as the ISO 8601 text that the index stores.

    Example:
        >>> SelfQueryRetriever.from_llm(llm, store, "pump manuals", fields, HybridTranslator())  # doctest: +SKIP
    """

    allowed_comparators: Sequence[Comparator] | None = (
        Comparator.EQ,
        Comparator.NE,
        Comparator.GT,
        Comparator.GTE,
        Comparator.LT,
        Comparator.LTE,
        Comparator.IN,
        Comparator.NIN,
        Comparator.CONTAIN,
    )
    allowed_operators: Sequence[Operator] | None = (Operator.AND, Operator.OR, Operator.NOT)

    def visit_operation(self, operation: Operation) -> dict[str, Any]:
        """Translates and, or, not; ``not`` of several directives denies each of them."""
        self._validate_func(operation.operator)
        filters = [argument.accept(self) for argument in operation.arguments]
        if operation.operator is not Operator.NOT:
            return {f"${operation.operator.value}": filters}
        return {"$not": filters[0] if len(filters) == 1 else {"$or": filters}}

    def visit_comparison(self, comparison: Comparison) -> dict[str, Any]:
        """Translates a comparison of a field with a value."""
        self._validate_func(comparison.comparator)
        name, value = comparison.comparator.value, _value(comparison.value)
        if comparison.comparator is Comparator.CONTAIN:
            name = Comparator.IN.value
        if name in ("in", "nin") and not isinstance(value, list):
            value = [value]
        return {comparison.attribute: {f"${name}": value}}

    def visit_structured_query(self, structured_query: StructuredQuery) -> tuple[str, dict[str, Any]]:
        """Gives the words to search for, and the arguments of the search."""
        if structured_query.filter is None:
            return structured_query.query, {}
        return structured_query.query, {"filter": structured_query.filter.accept(self)}


def _value(value: Any) -> Any:
    """A value of a filter; the parser of the language gives dates as ``{"date": ..., "type": "date"}``."""
    if isinstance(value, list | tuple):
        return [_value(inner) for inner in value]
    if isinstance(value, Mapping) and value.get("type") in ("date", "datetime"):
        return value[value["type"]]
    return value
