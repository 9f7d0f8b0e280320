#!/usr/bin/env python3
"""How twilio-api.json was made, and is made again when Twilio's API changes.

    make_twilio_schema.py twilio_api_v2010.json > twilio-api.json

Takes the paths that ringbridge asks, with what they refer to. Prose and vendor extensions are dropped, telephone
numbers replaced. Mended, because the description contradicts its own examples: a uri in an answer is a path, a sid that is
not there is null, and a conference that goes on has no reason for its end. Added for the judge, who does not assume OpenAPI's
default: an array in a form is its name once for each value."""
import json
import re
import sys

PREFIX = "/2010-04-01/Accounts/{AccountSid}"
PATHS = ["/Calls.json", "/Calls/{Sid}.json", "/Calls/{CallSid}/Recordings.json", "/Calls/{CallSid}/Recordings/{Sid}.json",
         "/Recordings.json", "/Recordings/{Sid}.json", "/Conferences.json", "/Conferences/{Sid}.json",
         "/Conferences/{ConferenceSid}/Participants.json", "/Conferences/{ConferenceSid}/Participants/{CallSid}.json",
         "/Messages.json", "/IncomingPhoneNumbers.json", "/IncomingPhoneNumbers/{Sid}.json",
         "/AvailablePhoneNumbers/{CountryCode}/Local.json", "/AvailablePhoneNumbers/{CountryCode}/TollFree.json",
         "/AvailablePhoneNumbers/{CountryCode}/Mobile.json"]
ROOT_PATHS = ["/2010-04-01/Accounts.json"]
ABSENT = ["conference_enum_reason_conference_ended"]
PROSE = {"description", "summary", "tags", "externalDocs", "operationId", "title"}


def plain(node, wanted, names=False):
    """names: the keys of this mapping are member names, not keywords."""
    if isinstance(node, list):
        return [plain(entry, wanted) for entry in node]
    if isinstance(node, str):
        return re.sub(r"(\+|%2B)\d{8,15}", r"\g<1>15550100", node)
    if not isinstance(node, dict):
        return node
    result = {}
    for key, value in node.items():
        if not names and (key in PROSE and isinstance(value, (str, list)) or key.startswith("x-")):
            continue
        if key == "$ref":
            wanted.add(value)
        if key.endswith("_sid") and value == "":
            value = None
        result[key] = plain(value, wanted, names=key in ("properties", "value", "examples", "responses") and not names)
    return result


def loosen(node):
    """Answers call paths uris."""
    if isinstance(node, list):
        return [loosen(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    return {key: loosen(value) for key, value in node.items() if not (key == "format" and value == "uri")}


def spell_arrays(content):
    """How arrays are written in a form."""
    for form in content.values():
        arrays = [name for name, schema in form["schema"].get("properties", {}).items() if schema.get("type") == "array"]
        if arrays:
            form["encoding"] = {name: {"style": "form", "explode": True} for name in arrays}


def main():
    source = json.load(open(sys.argv[1]))
    wanted, paths = set(), {}
    for path in [PREFIX + path for path in PATHS] + ROOT_PATHS:
        entry = plain(source["paths"][path], wanted)
        entry.pop("servers", None)
        for method in ("get", "post", "delete"):
            if method in entry:
                entry[method].pop("servers", None)
                spell_arrays(entry[method].get("requestBody", {}).get("content", {}))
                for code, answer in entry[method]["responses"].items():
                    answer["description"] = code
                entry[method]["responses"] = loosen(entry[method]["responses"])
        paths[path] = entry
    schemas, done = {}, set()
    while wanted - done:
        reference = sorted(wanted - done)[0]
        done.add(reference)
        name = reference.rsplit("/", 1)[1]
        schemas[name] = loosen(plain(source["components"]["schemas"][name], wanted))
    for name in ABSENT:
        schemas[name] |= {"nullable": True, "enum": schemas[name]["enum"] + [None]}
    result = {"openapi": source["openapi"], "info": {"title": "What ringbridge asks of Twilio", "version": "1"},
              "security": [{"account": []}], "paths": paths,
              "components": {"securitySchemes": {"account": {"type": "http", "scheme": "basic"}},
                             "schemas": dict(sorted(schemas.items()))}}
    for entry in paths.values():
        for method in ("get", "post", "delete"):
            if method in entry:
                entry[method]["security"] = [{"account": []}]
    json.dump(result, sys.stdout, indent=1, sort_keys=True)
    print()


main()
