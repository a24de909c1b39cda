"""Checks the files in deploy/ by their schemas, and by what they say of each other."""

import subprocess
import sys
from pathlib import Path

import yaml
from compose_spec import PyCompose

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def check_compose():
    compose = PyCompose.from_yaml((DEPLOY / "compose/compose.yaml").read_text())
    compose.validate()
    assert compose.service_names() == ["database", "registry"], compose.service_names()


def check_kubernetes(built):
    """`built` is what kustomize makes of the manifests."""
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(file.name for file in folder.glob("*.yaml") if file.name != "kustomization.yaml")
    subprocess.run(["kubernetes-validate", "--strict", *[folder / name for name in listed]], check=True)

    by_kind = {one["kind"]: one for one in documents(built)}
    assert len(by_kind) == len(listed), by_kind.keys()
    pods = by_kind["Deployment"]["spec"]["template"]
    for selector in (
        by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        by_kind["Service"]["spec"]["selector"],
    ):
        assert selector.items() <= pods["metadata"]["labels"].items(), selector
        migration = by_kind["Job"]["spec"]["template"]["metadata"]["labels"]
        assert not selector.items() <= migration.items(), selector
    [service] = pods["spec"]["containers"]
    [migration] = by_kind["Job"]["spec"]["template"]["spec"]["containers"]
    assert service["image"] == migration["image"] == "circle-registry:latest", (service["image"], migration["image"])
    ports = {port["name"] for port in service["ports"]}
    assert {probe["httpGet"]["port"] for name, probe in service.items() if name.endswith("Probe")} <= ports
    assert by_kind["Service"]["spec"]["ports"][0]["targetPort"] in ports


check_compose()
check_kubernetes(sys.stdin.read())
