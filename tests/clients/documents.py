"""The examples of documents are valid by the committed JSON Schema, and the schema is one."""

import json
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

root = Path(sys.argv[1])
schema = json.loads((root / "schemas/document.json").read_text())
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
examples = [root / "examples/as-code/review-team.yaml", root / "tests/it/operations/as_code/review.yaml"]
for path in examples:
    for document in yaml.safe_load_all(path.read_text()):
        validator.validate(document)
wrong = {"kind": "CircleRegistry", "version": 1, "agents": [{"name": "A", "params": {"top_p": 2}, "rle": "x"}]}
found = {error.json_path for error in validator.iter_errors(wrong)}
assert found == {"$.agents[0].params.top_p", "$.agents[0]"}, found
