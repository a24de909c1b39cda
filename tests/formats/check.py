"""Checks configurations of Docker Agent by its schema."""

import json
import sys
from pathlib import Path

import jsonschema
import yaml

schema = json.loads(Path(__file__).with_name("agent-schema.json").read_text())
validator = jsonschema.Draft7Validator(schema)
failed = False
for path in map(Path, sys.argv[1:]):
    config = yaml.safe_load(path.read_text())
    for error in validator.iter_errors(config):
        failed = True
        print(f"{path.name}: {error.json_path}: {error.message}", file=sys.stderr)
    # What the schema does not say: agents name agents of the file, and models that are there.
    for name, agent in config["agents"].items():
        for other in agent.get("sub_agents", []) + agent.get("handoffs", []):
            if other not in config["agents"]:
                failed = True
                print(f"{path.name}: {name}: there is no agent {other}", file=sys.stderr)
        model = agent.get("model", "")
        if "/" not in model and model not in config.get("models", {}):
            failed = True
            print(f"{path.name}: {name}: there is no model {model}", file=sys.stderr)
if failed:
    sys.exit(1)
print(f"formats: {len(sys.argv) - 1} files are as Docker Agent's schema says")
