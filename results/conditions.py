"""Conditions on named numbers, such as "medqa > 0.4 and peak_rss_bytes < 2e9". Conditions are never run as code."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

Value = float | bool | None  # None: unknown
COMPARED: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
COMPUTED: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST = 2_000  # characters of a condition


class Wrong(ValueError):
    """An invalid condition; its text says why."""


def parsed(condition: str, names: Mapping[str, str]) -> ast.expr:
    """Return a condition for `met`. `names` maps what it may call a column to the column's name.

    Names may be in backquotes. Raises Wrong.
    """
    if len(condition) > LONGEST:
        raise Wrong(f"it is longer than {LONGEST} characters")
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
    places: dict[str, str] = {}

    def placed(match: re.Match[str]) -> str:
        name = match[1] if match[1] is not None else match[2]
        if name not in names:
            raise Wrong(f"no column is called '{name}'")
        place = f"column{len(places)}_"
        places[place] = names[name]
        return f" {place} "

    text = re.sub(rf"`([^`]*)`|(?<![\w`-])({words})(?![\w`-])", placed, condition)
    try:
        tree = ast.parse(text.replace("&", " and ").replace("|", " or ").strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Wrong("it is not a comparison of columns and numbers") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if node.id not in places:
                raise Wrong(f"no column is called '{node.id}'")
            node.id = places[node.id]
    met(tree, dict.fromkeys(names.values(), 1.0))  # so that an invalid condition is found even if there are no models
    met(tree, dict.fromkeys(names.values()))
    return tree


def met(condition: ast.expr, values: Mapping[str, float | None]) -> bool:
    """Return whether a condition is met. One that depends on a missing value is not."""
    found = _value(condition, values)
    if not isinstance(found, bool | None):
        raise Wrong("it is a number, not true or false")
    return found is True


def _value(node: ast.expr, values: Mapping[str, float | None]) -> Value:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _number(number)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            found = _truth(_value(operand, values))
            return None if found is None else not found
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _number(_value(operand, values))
            return None if value is None else -value
        case ast.BoolOp(op=how, values=parts):
            # An unknown part matters only if the other parts do not decide.
            settles = isinstance(how, ast.Or)
            truths = [_truth(_value(part, values)) for part in parts]
            return settles if settles in truths else None if None in truths else not settles
        case ast.BinOp(left=left, op=how, right=right) if type(how) in COMPUTED:
            a, b = _number(_value(left, values)), _number(_value(right, values))
            if a is None or b is None or (isinstance(how, ast.Div) and b == 0):
                return None
            return COMPUTED[type(how)](a, b)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARED for op in ops):
            numbers = [_number(_value(part, values)) for part in (left, *others)]
            pairs = zip(ops, numbers, numbers[1:])
            truths = [None if a is None or b is None else COMPARED[type(op)](a, b) for op, a, b in pairs]
            return False if False in truths else None if None in truths else True
    raise Wrong("it may have columns, numbers, comparisons, and, or, not, + - * / and parentheses")


def _number(value: Value) -> float | None:
    if isinstance(value, bool):
        raise Wrong("true or false is used as a number")
    try:
        return None if value is None else float(value)
    except OverflowError:
        raise Wrong("a number is too large") from None


def _truth(value: Value) -> bool | None:
    if isinstance(value, bool | None):
        return value
    raise Wrong("a number is used as true or false")
