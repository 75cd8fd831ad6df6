"""The calculator tool: arithmetic, comparing, sorting, the first few of a list, letters counted or made capital,
number words in digits, by walking a syntax tree.

Nothing is evaluated: a node that is not in the table is refused. That makes it safe on text a model
wrote, in any thread (upstream's version sets SIGALRM, which fails off the main thread, and calls eval).

    >>> calculate("12*34"), calculate("10/4"), calculate("6/3"), calculate('"banana".count("a")')
    ('408', '2.5', '2', '3')
    >>> calculate("max(17,89)"), calculate("sorted([12,5,40],reverse=True)")
    ('89', '40, 12, 5')
    >>> calculate('argmax({"Ann":31,"Bob":7})'), calculate("31<7"), calculate('"Rome"=="Paris"'), calculate('"owl".upper()')
    ('Ann', 'False', 'False', 'OWL')
    >>> calculate('digits("four")'), calculate('digits(" 60")')
    ('4', '60')
    >>> calculate('sorted(" goat, bee".split(","))'), calculate('" red, blue, green".split(",")[:2]'), calculate('" ho"*3')
    ('bee, goat', 'red, blue', 'ho ho ho')
"""

import ast
import math
import operator
import re

MAX_CHARS = 200        # a tool call is a line, not a program
MAX_DIGITS = 30        # larger results are refused before they are computed or printed
MAX_ABS = 10 ** MAX_DIGITS

# What Python's parser takes, with a warning on stderr that no model should write there: 10and 3, "\w".
STRING = re.compile(r'"[^"]*"|\'[^\']*\'')
WARNED_OF = re.compile(r"\d(?![eE][+-]?\d)[A-Za-z]")

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos}
COMPARISONS = {ast.Lt: operator.lt, ast.Gt: operator.gt}
EXTREMES = {"max": max, "min": min}
NUMBER_WORDS = tuple("""zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty""".split())


class CalculatorError(ValueError):
    """The expression is not one the calculator does; the message is what the model gets to see."""


def calculate(expression: str) -> str:
    """The value of `expression` as text; integers, and floats that are integers, without a decimal point.

    Accepts numbers, + - * / // % and parentheses, max and min of two and more, "text".count("t"), and as a whole: two
    numbers with < or > between them, two texts with ==, "text".upper() and .lower(), digits("four") up to twenty,
    "text"*3, sorted([...]) of numbers, with reverse=True too, argmax({...}) and argmin({...}), the first name of the
    largest or the smallest number, sorted("text, text".split(",")), by the alphabet, and "text, text".split(",")[:2],
    the first ones. A text that comes out has no space around it. Raises CalculatorError otherwise.
    """
    if len(expression) > MAX_CHARS:
        raise CalculatorError("expression too long")
    if WARNED_OF.search(STRING.sub("", expression)) or "\\" in expression:
        raise CalculatorError("not an expression")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        return _result(tree.body)
    except ZeroDivisionError:
        raise CalculatorError("division by zero") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise error if isinstance(error, CalculatorError) else CalculatorError("not an expression") from None


def _result(node: ast.AST) -> str:
    """What stands only as a whole, or else a number."""
    match node:
        case ast.Call(func=ast.Name(id="sorted"), args=[ast.List(elts=items)], keywords=keywords) if items:
            return ", ".join(_sorted(items, keywords))
        case ast.Call(func=ast.Name(id="argmax" | "argmin" as name), args=[ast.Dict() as named], keywords=[]):
            return _name_of(EXTREMES[name.removeprefix("arg")], named)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="upper" | "lower" as name),
                      args=[], keywords=[]):
            return {"upper": text.upper, "lower": text.lower}[name]().strip()
        case ast.Call(func=ast.Name(id="digits"), args=[ast.Constant(value=str() as text)], keywords=[]):
            return _digits(text.strip().lower())
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mult(), right=right):
            return (text * min(_count(right), MAX_CHARS)).strip()[:MAX_CHARS]
        case ast.Call(func=ast.Name(id="sorted"), args=[ast.Call() as split], keywords=[]):
            return ", ".join(sorted(_split(split), key=str.casefold))
        case ast.Subscript(value=ast.Call() as split, slice=ast.Slice(lower=None, upper=upper, step=None)):
            return ", ".join(_split(split)[:_count(upper)])
        case ast.Compare(left=ast.Constant(value=str() as left), ops=[ast.Eq()],
                         comparators=[ast.Constant(value=str() as right)]):
            return str(left == right)
        case ast.Compare(left=left, ops=[ast.Lt() | ast.Gt() as op], comparators=[right]):
            return str(COMPARISONS[type(op)](_value(left), _value(right)))
    return format_number(_value(node))


def format_number(value: int | float) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) else f"{value:.10g}"


def _value(node: ast.AST) -> int | float:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _checked(value)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _checked(OPERATORS[type(op)](_value(left), _value(right)))
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="count"),
                      args=[ast.Constant(value=str() as letter)], keywords=[]) if letter:
            return text.count(letter)
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=[_, _, *_] as args, keywords=[]):
            return EXTREMES[name](map(_value, args))
    raise CalculatorError("not an expression")


def _digits(word: str) -> str:
    if word in NUMBER_WORDS:
        return str(NUMBER_WORDS.index(word))
    if re.fullmatch(r"[0-9]+", word):
        return word
    raise CalculatorError("not a number")


def _count(node: ast.AST) -> int:
    match node:
        case ast.Constant(value=int() as count) if not isinstance(count, bool):
            return count
    raise CalculatorError("not an expression")


def _sorted(items: list[ast.AST], keywords: list[ast.keyword]) -> list[str]:
    """Numbers by size, each as text."""
    match keywords:
        case []:
            reverse = False
        case [ast.keyword(arg="reverse", value=ast.Constant(value=bool() as reverse))]:
            pass
        case _:
            raise CalculatorError("not an expression")
    return [format_number(value) for value in sorted(map(_value, items), reverse=reverse)]


def _split(node: ast.Call) -> list[str]:
    """The parts of "text, text".split(",")."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text), attr="split"),
                      args=[ast.Constant(value=str() as mark)], keywords=[]) if mark:
            return [part.strip() for part in text.split(mark)]
    raise CalculatorError("not an expression")


def _name_of(extreme, named: ast.Dict) -> str:
    """Of names with a number each, the first that has the extreme one."""
    names = [key.value for key in named.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if not names or len(names) < len(named.keys):
        raise CalculatorError("not an expression")
    numbers = [_value(node) for node in named.values]
    return names[numbers.index(extreme(numbers))].strip()


def _checked(value: int | float) -> int | float:
    if not math.isfinite(value) or abs(value) > MAX_ABS:
        raise CalculatorError("number too large")
    return value
