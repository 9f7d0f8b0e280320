#!/usr/bin/env python3
"""How openai-realtime.schema.json was made, and is made again when OpenAI's API changes.

    make_realtime_schema.py OPENAPI.yaml > openai-realtime.schema.json

Takes the two unions RealtimeClientEvent and RealtimeServerEvent (the GA names; the schemas called
RealtimeBetaServerEvent... carry GA type strings too, and are left out) with everything they refer
to. Prose, examples and vendor extensions are dropped; what remains is plain JSON Schema 2020-12.
Mended, because the description contradicts its own examples: unions that overlap (a string, or one
of these strings) are anyOf; what has null as its default, or is shown as null, may be null.
"""
import json
import sys

import yaml

ROOTS = ["RealtimeClientEvent", "RealtimeServerEvent"]
PREFIX = "#/components/schemas/"
PROSE = {"description", "example", "examples", "title", "discriminator", "deprecated", "externalDocs"}


# Shown as null in the description's own examples of session.created, response.created, response.done.
SHOWN_AS_NULL = [
    ("RealtimeSessionCreateResponseGA", "include"),
    ("RealtimeSessionCreateResponseGA", "prompt"),
    ("RealtimeSessionCreateResponseGA", "audio", "input", "transcription"),
    ("RealtimeResponse", "status_details"),
    ("RealtimeResponse", "usage"),
    ("RealtimeResponse", "metadata"),
    ("RealtimeResponse", "conversation_id"),
    # the guide says: null turns them off
    ("RealtimeSessionCreateRequestGA", "audio", "input", "transcription"),
]


def or_null(schema):
    return {"anyOf": [schema, {"type": "null"}]}


def mend(node):
    if isinstance(node, list):
        return [mend(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    node = {("anyOf" if key == "oneOf" else key): mend(value) for key, value in node.items()}
    nullable = node.pop("nullable", False) is True
    if nullable or node.get("default", 0) is None and "anyOf" not in node:
        return or_null(node)
    return node


def plain(node, wanted, names=False):
    """names: the keys of this mapping are member names, not keywords."""
    if isinstance(node, list):
        return [plain(entry, wanted) for entry in node]
    if not isinstance(node, dict):
        return node
    result = {}
    for key, value in node.items():
        if not names and (key in PROSE or str(key).startswith("x-")):
            continue
        if key == "$ref" and not names:
            name = value.removeprefix(PREFIX)
            wanted.append(name)
            result[key] = "#/$defs/" + name
        else:
            result[str(key)] = plain(value, wanted, not names and key in ("properties", "$defs"))
    return result


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        api = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    schemas = api["components"]["schemas"]
    definitions, wanted = {}, list(ROOTS)
    while wanted:
        name = wanted.pop()
        if name not in definitions:
            definitions[name] = None
            definitions[name] = plain(schemas[name], wanted)
    definitions = {name: mend(schema) for name, schema in definitions.items()}
    for name, *path, last in SHOWN_AS_NULL:
        place = definitions[name]["properties"]
        for member in path:
            place = place[member]["properties"]
        place[last] = or_null(place[last])
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"OpenAI API {api['info']['version']}, Realtime events, made by make_realtime_schema.py",
        "$defs": dict(sorted(definitions.items())),
    }
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
