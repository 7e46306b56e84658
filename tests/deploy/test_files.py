"""What lies in deploy/, read as data: it parses, names only settings and commands that exist, and holds no secret.

No container is run here: there is no daemon for that in a test.
"""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from tests.deploy.chart import render

from polyroute.cli import main as cli
from polyroute.config.check import check, check_start
from polyroute.config.document import Document
from polyroute.config.load import reads
from polyroute.server.table import build_table

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "polyroute"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
PATHS = {endpoint.path for endpoint in build_table().endpoints if endpoint.method == "GET"}
TEMPLATES = sorted((CHART / "templates").glob("*.yaml"))


def document(text: str, folder: Path) -> Document:
    """With an environment that has what it names. Raises ConfigError."""
    env = dict.fromkeys(re.findall(r"env: (\w+)", text), "secret-of-a-test-0123456789")
    env["POLYROUTE_ADMIN_KEY"] = "pk-admin-0123456789abcdef"
    loaded = reads(text, env, folder=folder)
    assert (*check(loaded.document), *check_start(loaded.document, env)) == ()
    return loaded.document


def rendered(values: dict[str, Any] = VALUES) -> dict[str, Any]:
    """Each template as Kubernetes is given it, by its kind."""
    made = [yaml.safe_load(render(path.read_text(), values)) for path in TEMPLATES]
    return {one["kind"]: one for one in made if one is not None}


# ── containers ────────────────────────────────────────────────────────────────────────────────────────────


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = (line.strip() for line in text.split("\n") if line.strip() and not line.startswith("#"))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def last(instruction: str) -> str:
    return [said for name, said in instructions() if name == instruction][-1]


def understood(words: list[str]) -> None:
    """The command's verb and options exist. Raises click's usage errors."""
    root = typer.main.get_command(cli.build(words[0]))
    verb = root.commands[words[0]]  # type: ignore[attr-defined]  # a group
    verb.make_context(words[0], words[1:], resilient_parsing=True)


def test_the_image_runs_a_command_that_exists_as_nobody_in_particular() -> None:
    assert yaml.safe_load(last("ENTRYPOINT")) == ["polyroute"]
    understood(yaml.safe_load(last("CMD")))
    assert last("USER") not in ("root", "0")
    assert len([name for name, _ in instructions() if name == "FROM"]) == 2


def test_the_image_copies_what_exists_and_installs_extras_that_exist() -> None:
    project = (DEPLOY.parent / "pyproject.toml").read_text()
    for name, said in instructions():
        if name == "COPY" and not said.startswith("--from"):
            assert all((DEPLOY.parent / source).exists() for source in said.split()[:-1]), said
    (extras,) = re.findall(r'"\.\[(.*?)\]"', (DEPLOY / "Dockerfile").read_text())
    assert [extra for extra in extras.split(",") if f"\n{extra} = [" not in project] == []


def test_the_images_health_check_asks_a_path_that_exists() -> None:
    (path,) = re.findall(r"http://127\.0\.0\.1:4000(/[\w/]+)", last("HEALTHCHECK"))
    assert path in PATHS


def test_the_images_versions_are_those_of_the_lock() -> None:
    (script,) = re.findall(r"sed -n 's/(.*?)/\\1/p'", (DEPLOY / "Dockerfile").read_text())
    pattern = re.compile(script.replace(r"\(", "(").replace(r"\)", ")"))
    lock = (DEPLOY.parent / "requirements.lock").read_text().splitlines()
    found = [match[1] for line in lock if (match := pattern.match(line))]
    assert len(found) > 50
    assert [pin for pin in found if not re.fullmatch(r"[\w.-]+==[\w.!+-]+", pin)] == []


def test_nothing_in_the_folder_looks_like_a_secret() -> None:
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file()}
    assert [path.name for path, text in texts.items() if re.search(r"sk-\w{8}|BEGIN .*PRIVATE|://\w+:\w+@", text)] == []
    assert re.findall(r"^\w+=(.+)$", (DEPLOY / "compose" / "env.example").read_text(), re.MULTILINE) == []


# ── compose ───────────────────────────────────────────────────────────────────────────────────────────────


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return found


def test_composes_document_is_sound_and_names_the_services_there_are(tmp_path: Path) -> None:
    text = (DEPLOY / "compose" / "polyroute.yaml").read_text()
    read, services = document(text, tmp_path), compose()["services"]
    assert read.store.database.partition("@")[2].partition("/")[0] in services
    assert read.store.shared.removeprefix("redis://").partition(":")[0] in services
    gateways = [service for name, service in services.items() if name.startswith("gateway-")]
    assert len(gateways) == read.store.replicas == 3


def test_compose_gives_each_gateway_what_its_document_names_and_time_to_end(tmp_path: Path) -> None:
    text = (DEPLOY / "compose" / "polyroute.yaml").read_text()
    server = document(text, tmp_path).server
    example = (DEPLOY / "compose" / "env.example").read_text()
    for name, service in compose()["services"].items():
        if name.startswith("gateway-"):
            assert set(re.findall(r"env: (\w+)", text)) <= service["environment"].keys()
            assert int(service["stop_grace_period"].removesuffix("s")) >= server.notice_s + server.drain_s
            assert service["build"]["dockerfile"] == "deploy/Dockerfile"
    wanted = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose" / "compose.yaml").read_text()))
    assert wanted <= set(re.findall(r"^(\w+)=", example, re.MULTILINE))


def test_compose_mounts_files_and_volumes_that_exist() -> None:
    whole = compose()
    for service in whole["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert source in whole["volumes"] or (DEPLOY / "compose" / source).exists(), mount


# ── helm ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_charts_document_is_sound(tmp_path: Path) -> None:
    text = rendered()["ConfigMap"]["data"]["polyroute.yaml"]
    assert document(text, tmp_path).store.replicas == VALUES["replicas"]


def test_every_template_renders_to_an_object_of_kubernetes() -> None:
    made = rendered()
    assert set(made) == {"ConfigMap", "StatefulSet", "Service", "PodDisruptionBudget"}
    assert all(one["apiVersion"] and one["metadata"]["name"].startswith("gw") for one in made.values())


def test_autoscaling_is_there_where_it_is_wanted() -> None:
    made = rendered({**VALUES, "autoscaling": {**VALUES["autoscaling"], "enabled": True}})
    assert made["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == made["StatefulSet"]["metadata"]["name"]
    assert "replicas" not in made["StatefulSet"]["spec"]


def test_the_pod_is_probed_at_paths_that_exist_and_gets_time_to_end(tmp_path: Path) -> None:
    made = rendered()
    pod = made["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    understood(container["args"])
    probes = [container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert {probe["path"] for probe in probes} <= PATHS
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    server = document(made["ConfigMap"]["data"]["polyroute.yaml"], tmp_path).server
    assert pod["terminationGracePeriodSeconds"] >= server.notice_s + server.drain_s
    noticed_s = container["readinessProbe"]["periodSeconds"] * container["readinessProbe"]["failureThreshold"]
    assert server.notice_s > noticed_s, "a pod that ends is out of the service before it refuses connections"


def test_the_pod_reads_secrets_by_reference_and_has_no_more_rights_than_it_needs() -> None:
    pod = rendered()["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": name}} for name in VALUES["secrets"]]
    assert "env" not in container
    assert pod["securityContext"]["runAsNonRoot"] is True
    for one in (*pod["containers"], *pod["initContainers"]):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_selectors_find_the_pods_and_ports_have_names() -> None:
    made = rendered()
    labels = made["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert made["Service"]["spec"]["selector"].items() <= labels.items()
    assert made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (container,) = made["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert made["Service"]["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in made["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    pod = made["StatefulSet"]["spec"]["template"]["spec"]
    assert mounted == claims | {volume["name"] for volume in pod["volumes"]}


def test_a_value_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        render("{{ .Values.nothing.here }}", VALUES)


# ── systemd ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_unit_starts_checks_and_reloads_with_commands_that_exist() -> None:
    lines = [line for line in (DEPLOY / "systemd" / "polyroute.service").read_text().splitlines() if "=" in line]
    said = [line.partition("=")[::2] for line in lines if not line.startswith("#")]
    for name, command in said:
        words = shlex.split(command) if name.startswith("Exec") else []
        if words and words[0].endswith("/polyroute"):
            understood(words[1:])
    settings = dict(said)
    assert settings["ExecReload"].endswith("-HUP $MAINPID")
    assert int(settings["TimeoutStopSec"]) > 1 + 30, "the notice and the drain of a document that says neither"
    assert settings["NoNewPrivileges"] == "yes"
