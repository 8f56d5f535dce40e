"""Is a function still blank? Whether nobody has begun to write it."""

import ast
import inspect
import textwrap


def is_blank(function):
    """Whether a function holds nothing but a docstring and `raise NotImplementedError`, `...`, `pass` or a `return` of nothing.

    False if it is no function."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):  # there is no text, as after exec: look at the compiled code
        return getattr(getattr(function, "__code__", None), "co_names", None) == ("NotImplementedError",)
    return hasattr(node, "body") and only_blank(node)


def only_blank(node):
    """The same for a node of `ast`."""
    body = node.body[docstring_of(node) is not None :]
    return len(body) <= 1 and all(is_nothing(statement) for statement in body)


def is_nothing(statement):
    """Whether a statement is `raise NotImplementedError`, with or without a message, `...`, `pass`, or `return`, also of None or `...`."""
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        exception = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(exception, ast.Name) and exception.id == "NotImplementedError"
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant) and statement.value.value in (None, ...)
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and statement.value.value is Ellipsis
    )


def docstring_of(node):
    """The statement that is a function's docstring, or None."""
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return first if is_text else None
