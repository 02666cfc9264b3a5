"""Dockerfile, compose file and manifests: their own linters, and what they promise of hardening.

No image was built and no cluster was there; what can be run of them is run in test_confined.py.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from dicom_ai_node.config.load import load
from tests.tools import missing_tool

HOME = Path(__file__).parents[2]
DEPLOY = HOME / "deploy"
OVERLAYS = ("cpu", "gpu", "demo")
KUBERNETES = "1.31.0"
_BIN = Path(sys.executable).parent


def _yaml(path: Path) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(path.read_text()))


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run(
        [_BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_special_and_installs_by_hash_alone() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text.rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in final
    assert "HEALTHCHECK" in final
    assert "pip install --require-hashes --no-deps -r /src/requirements.lock" in text
    addresses = [line for line in text.splitlines() if "://" in line and "#" not in line[:1]]
    assert [line for line in addresses if "127.0.0.1" not in line and "sqlite" not in line] == []


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_the_compose_file_is_one(name: str) -> None:
    command = [_BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, DEPLOY / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_container_is_hardened_and_published_on_loopback_alone() -> None:
    (compose,) = _yaml(DEPLOY / "compose.yaml")
    services = compose["services"]
    assert set(services) == {"node", "orthanc", "ohif", "prometheus", "grafana"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert ":" in service["image"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    inside = {name for name, network in compose["networks"].items() if network.get("internal")}
    assert set(services["node"]["networks"]) <= inside
    for name, service in services.items():
        assert name == "node" or "healthcheck" in service  # the node's is in its image
        for needed in service.get("depends_on", {}).values():
            assert needed == {"condition": "service_healthy"}


def test_what_the_compose_file_mounts_is_there() -> None:
    (compose,) = _yaml(DEPLOY / "compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), source


def test_the_prometheus_of_compose_reads_its_configuration(tmp_path: Path) -> None:
    """As it lies in the container: what it is told to read is mounted, and so are the rules."""
    service = _yaml(DEPLOY / "compose.yaml")[0]["services"]["prometheus"]
    told = [each.removeprefix("--config.file=") for each in service["command"] if "config" in each]
    mounts = [each.split(":") for each in service["volumes"] if each.startswith("./")]
    for source, place, _ in mounts:
        assert place.startswith("/etc/prometheus/")
        shutil.copy(DEPLOY / source, tmp_path / Path(place).name)
    assert set(told) <= {place for _, place, _ in mounts}
    if (promtool := shutil.which("promtool")) is None:
        missing_tool("promtool")
    subprocess.run(
        [str(promtool), "check", "config", tmp_path / Path(*told).name],
        check=True,
        capture_output=True,
    )


def test_orthanc_in_compose_has_no_password_of_ours() -> None:
    settings = json.loads((DEPLOY / "compose" / "orthanc" / "orthanc.json").read_text())
    assert settings["AuthenticationEnabled"] is True
    assert "RegisteredUsers" not in settings
    assert settings["DicomAlwaysAllowStore"] is False


def test_secrets_are_made_once_and_differ(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        shutil.copy(DEPLOY / "compose" / "make-secrets.sh", folder)
        subprocess.run(["sh", folder / "make-secrets.sh"], check=True, capture_output=True)
    first, second = ((folder / "secrets" / "grafana_password").read_text() for folder in folders)
    assert len(first) == 36
    assert first != second
    subprocess.run(["sh", folders[0] / "make-secrets.sh"], check=True, capture_output=True)
    assert (folders[0] / "secrets" / "grafana_password").read_text() == first
    users = json.loads((folders[0] / "secrets" / "orthanc_users.json").read_text())
    assert len(users["RegisteredUsers"]["radiology"]) == 36


@pytest.mark.parametrize(
    "file",
    [
        "systemd-node",
        "compose/node/node.yaml",
        "kustomize/base/node.yaml",
        "kustomize/overlays/demo/node.yaml",
    ],
)
def test_each_configuration_in_deploy_is_right(file: str, tmp_path: Path) -> None:
    source = HOME / "config" / "node.yaml" if file == "systemd-node" else DEPLOY / file
    secrets, config = tmp_path / "secrets", tmp_path / "config"
    for folder in (secrets, config):
        folder.mkdir()
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (secrets / name).write_text("there\n")
        (secrets / name).chmod(0o600)
    text = source.read_text().replace("/run/secrets/dicom-ai-node", str(secrets))
    (config / "node.yaml").write_text(text)
    load(config, {})


def _manifests() -> list[Path]:
    below = DEPLOY / "kustomize" / "base"
    return sorted(each for each in below.glob("*.yaml") if each.name not in _NO_RESOURCES)


_NO_RESOURCES = {"kustomization.yaml", "node.yaml"}


@pytest.mark.parametrize("manifest", _manifests(), ids=lambda each: each.stem)
def test_a_manifest_is_what_kubernetes_takes(manifest: Path) -> None:
    for resource in _yaml(manifest):
        if resource["kind"] == "StatefulSet":  # kustomize adds these
            labels = {"app.kubernetes.io/name": "dicom-ai-node"}
            resource["spec"]["selector"] = {"matchLabels": labels}
            resource["spec"]["template"]["metadata"] = {"labels": labels}
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def test_a_manifest_with_a_mistake_is_found_out() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"port": 1}},
            KUBERNETES,
            strict=True,
        )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_builds_into_what_kubernetes_takes(overlay: str, tmp_path: Path) -> None:
    if (kubectl := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not installed")  # no package of Debian: not even where CI=true
    folder = DEPLOY / "kustomize" / "overlays" / overlay
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=True
    )
    built = tmp_path / "built.yaml"
    built.write_text(done.stdout)
    resources = _yaml(built)
    for resource in resources:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
        if resource["kind"] == "Service":
            assert resource["spec"]["selector"] == {"app.kubernetes.io/name": "dicom-ai-node"}
    (stateful,) = [each for each in resources if each["kind"] == "StatefulSet"]
    assert stateful["spec"]["replicas"] == 1  # SQLite
    _restricted(stateful["spec"]["template"]["spec"])
    kinds = {each["kind"] for each in resources}
    assert {"NetworkPolicy", "PodDisruptionBudget", "ConfigMap", "Namespace"} <= kinds
    denied = [each for each in resources if each["metadata"]["name"] == "deny-all"]
    assert denied[0]["spec"]["policyTypes"] == ["Ingress", "Egress"]


def _restricted(pod: dict[str, Any]) -> None:
    """What the Pod Security Standard of that name asks for, and a read-only root."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["containers"], *pod.get("initContainers", [])):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
    (node,) = pod["containers"]
    asked = {name: node[f"{name}Probe"]["httpGet"]["path"] for name in _HEALTH}
    assert asked == _HEALTH


_HEALTH = {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
