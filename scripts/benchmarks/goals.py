"""Figures beside their goals."""

import operator

_COMPARE = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, "==": operator.eq}


def against(value, goal):
    """A figure, its goal such as "<= 0.12", and whether it is met; a figure that could not be had misses its goal.

    Without a goal it is the bare figure.
    """
    if goal is None:
        return value
    relation, bound = goal.split()
    met = value is not None and _COMPARE[relation](value, float(bound))
    return {"value": value, "goal": goal, "met": met}


def missed(tree, path=""):
    """The paths of the figures that miss their goals."""
    if not isinstance(tree, dict):
        return []
    if tree.get("met") is False:
        return [path]
    return [name for key, value in tree.items() for name in missed(value, f"{path}.{key}" if path else key)]
