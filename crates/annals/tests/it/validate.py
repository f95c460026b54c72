"""Validates against the contract in a directory, with the package jsonschema.

Each line that comes in is {"schema": URI, "instance": value}; the answer to it is a line with the
list of what is wrong. Schemas are known by their $id, the AsyncAPI document as urn:asyncapi.
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

directory = pathlib.Path(sys.argv[1])
registry = Registry()
for file in sorted(directory.glob("schemas/*.json")):
    schema = json.loads(file.read_text())
    Draft202012Validator.check_schema(schema)
    registry = registry.with_resource(schema["$id"], DRAFT202012.create_resource(schema))
document = json.loads((directory / "asyncapi.json").read_text())
Draft202012Validator.check_schema(document["components"]["schemas"]["headers"])
registry = registry.with_resource("urn:asyncapi", DRAFT202012.create_resource(document))

for line in sys.stdin:
    question = json.loads(line)
    validator = Draft202012Validator(
        {"$ref": question["schema"]},
        registry=registry,
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(question["instance"])]
    print(json.dumps(wrong))
