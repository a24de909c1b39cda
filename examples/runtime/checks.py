"""Checks of a value at a path: of its type and bounds, of an object's members, of a list's items."""

import re


class Refusal(Exception):
    def __init__(self, text, status=400):
        super().__init__(text)
        self.status = status


def refuse_if(condition, text):
    if condition:
        raise Refusal(text)


def is_(test, what):
    return lambda value, path: refuse_if(not test(value), f"{path} must be {what}")


def number(low, high):
    return is_(lambda value: type(value) in (int, float) and low <= value <= high, f"between {low} and {high}")


def integer(low, high=2**53):
    return is_(lambda value: type(value) is int and low <= value <= high, f"an integer from {low} to {high}")


def one_of(*values):
    return is_(lambda value: value in values, f"one of {values}")


def many(item, most=128):
    def check(value, path):
        refuse_if(not isinstance(value, list) or not 1 <= len(value) <= most, f"{path} must have 1 to {most} items")
        for index, one in enumerate(value):
            item(one, f"{path}[{index}]")

    return check


def record(required="", **fields):
    def check(value, path):
        refuse_if(not isinstance(value, dict), f"{path} must be an object")
        for name in value:
            refuse_if(name not in fields, f"unknown parameter: {path}.{name}")
            fields[name](value[name], f"{path}.{name}")
        for name in required.split():
            refuse_if(name not in value, f"{path}.{name} is required")

    return check


def by_type(**records):
    def check(value, path):
        kind = value.get("type") if isinstance(value, dict) else None
        refuse_if(kind not in records, f"{path}.type must be one of {list(records)}")
        records[kind]({name: own for name, own in value.items() if name != "type"}, path)

    return check


text = is_(lambda value: isinstance(value, str) and value != "", "a text")
boolean = is_(lambda value: isinstance(value, bool), "true or false")
schema = is_(lambda value: isinstance(value, dict) and value.get("type") == "object", "the JSON Schema of an object")
name = is_(lambda value: re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", value), "a name")
