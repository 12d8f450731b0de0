"""Each component: pods, scaling, placement, images, settings, and the drain that its grace period leaves time for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from deploy.chart.place import components
from deploy.chart.settings import CLASSES
from deploy.docker.steps import FOLDER as DOCKER
from migrations.settings import MigrationSettings
from runtime.settings import EXIT_SECONDS
from runtime.streams import LANES, STREAM
from services.identity.settings import BootstrapSettings
from services.importer.assets.mappings import PREVIEWS_AT_ONCE
from services.importer.assets.preview_child import MEMORY_BYTES
from tests.chart.rendering import (
    CI_FILES,
    FULLNAME,
    MINIMAL,
    SERVICES,
    TRIAL,
    Manifest,
    Pod,
    merged,
    of_kind,
    pod_of,
    pods,
    render,
    render_file,
    values_file,
    variables,
)

ALL = tuple(components())
SECRET_VALUES = {
    "HYTHE_SECRETS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "HYTHE_SCAN_URL": "icap://scanner.example.com/scan",
}


def container(pod: Pod) -> Manifest:
    (found,) = pod.spec["containers"]
    return dict(found)


def environment(pod: Pod) -> dict[str, str]:
    """As the process sees it, with some text for each secret."""
    told = variables(pod)
    return {
        name: SECRET_VALUES.get(name, "of a secret") if isinstance(value, dict) else value
        for name, value in told.items()
    }


def load(kind: type[BaseSettings], told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> BaseSettings:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return kind()


@pytest.mark.parametrize("file", ["trial-values.yaml", "production-values.yaml", "placed-values.yaml"])
@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_told_all_that_it_needs_and_nothing_that_it_does_not_know(
    name: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = environment(pod_of(render_file(file), name))
    load(CLASSES[name], told, monkeypatch)
    known = {f"HYTHE_{field.upper()}" for field in CLASSES[name].model_fields}
    shared = {f"HYTHE_{setting.upper()}" for setting in values_file(file).get("settings", {})}
    # Identity needs no object store and has no use for others' addresses.
    assert {each for each in told if each.startswith("HYTHE_")} - shared <= known | {"HYTHE_PUBLIC_URL"}


def test_the_jobs_are_told_all_that_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render_file("production-values.yaml")
    load(MigrationSettings, environment(pod_of(manifests, "migrate")), monkeypatch)
    settings = load(BootstrapSettings, environment(pod_of(manifests, "first-admin")), monkeypatch)
    assert settings.model_dump()["bootstrap_user"] == "ops@example.com"


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_gets_the_url_of_its_own_roles_only(name: str) -> None:
    facts = components()[name]
    secrets = [
        each
        for each in variables(pod_of(render_file("production-values.yaml"), name)).values()
        if isinstance(each, dict)
    ]
    assert {each["key"] for each in secrets if each["name"] == "hythe-postgresql"} == {
        f"{role}-url" for role in facts["database"].values()
    }
    nats = {f"nats-{facts['nats']}-url"} if "nats" in facts else set()
    assert {each["key"] for each in secrets if each["name"] == "hythe-nats"} == nats


def test_one_secret_may_hold_all_keys() -> None:
    """None has two meanings: which variables a key may be for, by the end of their names."""
    meanings: dict[str, set[str]] = {}
    for pod in pods(render_file("minimal-values.yaml")):
        for each in pod.containers:
            for entry in each.get("env", []):
                if "valueFrom" in entry:
                    what = "DATABASE_URL" if entry["name"].endswith("DATABASE_URL") else entry["name"]
                    meanings.setdefault(entry["valueFrom"]["secretKeyRef"]["key"], set()).add(what)
    assert len(meanings) > 12
    assert {key: what for key, what in meanings.items() if len(what) > 1} == {}


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_runs_what_the_image_of_that_name_runs(name: str) -> None:
    made = container(pod_of(render_file("production-values.yaml"), name))
    assert made["image"] == f"registry.example.com/hythe/hythe-{name}:0.1.0"
    stage = (DOCKER / "Dockerfile").read_text().split(f"AS {name}\n")[1].splitlines()[0]
    assert stage == "CMD " + str(made["command"]).replace("'", '"')


def test_the_migration_runs_what_its_image_runs_and_the_user_is_that_of_the_images() -> None:
    pod = pod_of(render_file("production-values.yaml"), "migrate")
    text = (DOCKER / "Dockerfile").read_text()
    assert text.split("AS migrate\n")[1].splitlines()[0] == "CMD " + str(container(pod)["command"]).replace("'", '"')
    user = pod.spec["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in text


@pytest.mark.parametrize("name", ALL)
def test_the_grace_period_leaves_time_for_the_drain(name: str) -> None:
    spec = pod_of(render_file("minimal-values.yaml"), name).spec
    stop = container(pod_of(render_file("minimal-values.yaml"), name)).get("lifecycle", {}).get("preStop", {})
    drain = CLASSES[name].model_fields["drain_seconds"].default + EXIT_SECONDS if name in CLASSES else 0
    assert spec["terminationGracePeriodSeconds"] >= stop.get("sleep", {}).get("seconds", 0) + drain


def test_the_chart_reckons_with_the_drain_that_the_code_has() -> None:
    """templates/validate.yaml has both numbers."""
    assert {each.model_fields["drain_seconds"].default for each in CLASSES.values()} == {20}
    assert EXIT_SECONDS == 20


@pytest.mark.parametrize("name", SERVICES)
def test_liveness_asks_no_dependency_and_readiness_does(name: str) -> None:
    made = container(pod_of(render_file("minimal-values.yaml"), name))
    port = components()[name]["port"]
    assert made["livenessProbe"]["grpc"] == made["startupProbe"]["grpc"] == {"port": port, "service": "liveness"}
    assert made["readinessProbe"]["grpc"] == {"port": port}


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_headless_so_that_callers_see_each_pod(name: str) -> None:
    spec = of_kind(render_file("minimal-values.yaml"), "Service")[name]["spec"]
    assert spec["clusterIP"] == "None"
    assert {port["name"]: port["port"] for port in spec["ports"]} == {
        "grpc": components()[name]["port"],
        "metrics": 9100,
    }


def test_clients_of_the_gateway_do_not_reach_its_metrics() -> None:
    spec = of_kind(render_file("production-values.yaml"), "Service")["gateway"]["spec"]
    assert [port["port"] for port in spec["ports"]] == [443]


@pytest.mark.parametrize("name", ALL)
def test_more_pods_than_one_have_a_disruption_budget_and_one_has_none(name: str) -> None:
    budgets = of_kind(render_file("minimal-values.yaml"), "PodDisruptionBudget")
    assert budgets[name]["spec"]["maxUnavailable"] == 1
    single = of_kind(render(merged(MINIMAL, {name: {"replicas": 1}})), "PodDisruptionBudget")
    assert set(budgets) - set(single) == {name}


def test_autoscalers_take_the_number_of_pods_over() -> None:
    manifests = render_file("autoscaling-values.yaml")
    scalers = of_kind(manifests, "HorizontalPodAutoscaler")
    assert set(scalers) == set(ALL)
    for name, deployment in of_kind(manifests, "Deployment").items():
        assert "replicas" not in deployment["spec"], name
        assert scalers[name]["spec"]["scaleTargetRef"]["name"] == f"{FULLNAME}-{name}"
    assert scalers["worker"]["spec"]["maxReplicas"] == 20
    assert scalers["upload"]["spec"]["maxReplicas"] == 8
    # Twenty pods of two slots each; the dispatcher lets as many imports of a lane out.
    assert environment(pod_of(manifests, "importer"))["HYTHE_WORKER_SLOTS"] == "40"


def test_scaled_objects_ask_for_the_lag_of_the_lanes_that_the_pods_take() -> None:
    manifests = render_file("keda-values.yaml")
    objects = of_kind(manifests, "ScaledObject")
    assert set(objects) == {"worker", "fetcher"}
    triggers = [each for found in objects.values() for each in found["spec"]["triggers"]]
    # One pod more as soon as the slots of a lane are full.
    thresholds = {each["metadata"]["consumer"]: each["metadata"]["lagThreshold"] for each in triggers}
    assert thresholds == {"small": "4", "large": "1", "fetch": "4"}
    assert set(thresholds) == set(LANES)
    assert {each["metadata"]["stream"] for each in triggers} == {STREAM}
    assert {each["metadata"]["natsServerMonitoringEndpoint"] for each in triggers} == {"nats.nats.svc:8222"}
    assert objects["worker"]["spec"]["minReplicaCount"] == 0
    deployments = of_kind(manifests, "Deployment")
    assert not any("replicas" in deployments[name]["spec"] for name in objects)
    assert set(of_kind(manifests, "HorizontalPodAutoscaler")) == {"upload"}
    assert environment(pod_of(manifests, "importer"))["HYTHE_WORKER_SLOTS"] == str(20 * 4)


def test_a_lane_without_slots_asks_for_no_pod_and_a_threshold_of_ones_own_is_kept() -> None:
    worker = {"settings": {"large_slots": 0}, "keda": {"lagThreshold": 7}}
    found = of_kind(render(merged(values_file("keda-values.yaml"), {"worker": worker})), "ScaledObject")["worker"]
    (trigger,) = found["spec"]["triggers"]
    assert (trigger["metadata"]["consumer"], trigger["metadata"]["lagThreshold"]) == ("small", "7")


def test_the_chart_reckons_with_the_slots_and_the_children_that_the_code_has() -> None:
    for name, facts in components().items():
        fields = CLASSES[name].model_fields if name in CLASSES else {}
        for lane in facts.get("lanes", {}).values():
            assert fields[lane["setting"]].default == lane["slots"]
        children = facts.get("children", {})
        if "setting" in children:
            assert fields[children["setting"]].default == children["bytes"]
    assert components()["importer"]["children"] == {"count": PREVIEWS_AT_ONCE, "bytes": MEMORY_BYTES}


def test_nothing_scales_by_itself_unless_asked() -> None:
    manifests = render_file("minimal-values.yaml")
    assert not of_kind(manifests, "HorizontalPodAutoscaler")
    assert not of_kind(manifests, "ScaledObject")
    assert {each["spec"]["replicas"] for each in of_kind(manifests, "Deployment").values()} == {2}


def placed(name: str) -> tuple[Pod, Manifest]:
    pod = pod_of(render_file("placed-values.yaml"), name)
    return pod, container(pod)


@pytest.mark.parametrize("name", ALL)
def test_what_is_said_for_all_holds_for_each(name: str) -> None:
    pod, made = placed(name)
    assert pod.spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod.spec["tolerations"][0]["key"] == "example.com/batch"
    assert "nodeAffinity" in pod.spec["affinity"]
    assert pod.metadata["labels"]["example.com/cost"] == "files"
    assert pod.metadata["labels"]["team"] == "platform"
    assert pod.metadata["annotations"]["example.com/note"] == "a pod"
    assert {"name": "TZ", "value": "UTC"} in made["env"]
    assert {"name": "more", "mountPath": "/more"} in made["volumeMounts"]
    assert {"name": "more", "emptyDir": {"sizeLimit": "1Mi"}} in pod.spec["volumes"]
    assert {"name": "trust", "mountPath": "/etc/hythe/trust", "readOnly": True} in made["volumeMounts"]
    accounts = {
        each["metadata"]["name"]: each for each in render_file("placed-values.yaml") if each["kind"] == "ServiceAccount"
    }
    assert accounts[pod.spec["serviceAccountName"]]["metadata"]["annotations"]["example.com/role"] == "files"


def test_what_a_component_says_goes_before_what_is_said_for_all() -> None:
    assert placed("worker")[0].spec["priorityClassName"] == "batch"
    assert placed("upload")[0].spec["priorityClassName"] == "services"
    assert "topologySpreadConstraints" not in placed("worker")[0].spec
    assert len(placed("upload")[0].spec["topologySpreadConstraints"]) == 2
    budgets = {
        each["metadata"]["name"]: each
        for each in render_file("placed-values.yaml")
        if each["kind"] == "PodDisruptionBudget"
    }
    assert "files-status" not in budgets
    assert budgets["files-upload"]["spec"]["maxUnavailable"] == "25%"
    quiet = merged(
        MINIMAL,
        {"defaults": {"podDisruptionBudget": {"enabled": True}}, "upload": {"podDisruptionBudget": {"enabled": False}}},
    )
    assert "upload" not in of_kind(render(quiet), "PodDisruptionBudget")


def test_pods_spread_over_their_own_kind() -> None:
    for constraint in placed("upload")[0].spec["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "upload"


def test_a_digest_goes_before_any_tag() -> None:
    assert placed("worker")[1]["image"] == "hythe-worker@sha256:" + "0" * 64


def test_pull_secrets_are_those_of_all_pods() -> None:
    for pod in pods(render_file("production-values.yaml")):
        assert pod.spec["imagePullSecrets"] == [{"name": "registry"}], pod.owner


def test_settings_of_a_component_go_before_those_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"log_level": "WARNING", "max_file_bytes": 10_737_418_240}
    both = merged(MINIMAL, {"settings": shared, "upload": {"settings": {"log_level": "DEBUG"}}})
    manifests = render(both)
    assert environment(pod_of(manifests, "upload"))["HYTHE_LOG_LEVEL"] == "DEBUG"
    assert environment(pod_of(manifests, "status"))["HYTHE_LOG_LEVEL"] == "WARNING"
    assert environment(pod_of(manifests, "importer"))["HYTHE_MAX_FILE_BYTES"] == "10737418240"
    assert (
        load(CLASSES["upload"], environment(pod_of(manifests, "upload")), monkeypatch).model_dump()["max_file_bytes"]
        == 10_737_418_240
    )


def test_what_a_setting_zero_says_is_kept() -> None:
    manifests = render(
        merged(MINIMAL, {"worker": {"settings": {"large_slots": 0, "scan_max_bytes": 0, "chunk_seconds": 2.5}}})
    )
    told = environment(pod_of(manifests, "worker"))
    assert (told["HYTHE_LARGE_SLOTS"], told["HYTHE_CHUNK_SECONDS"]) == ("0", "2.5")


def annotations_of(job: Manifest) -> dict[str, str]:
    found: dict[str, str] = job["metadata"].get("annotations", {})
    return found


def test_migrations_run_before_an_upgrade_and_the_administrator_is_made_after_it() -> None:
    jobs = of_kind(render_file("minimal-values.yaml"), "Job")
    assert annotations_of(jobs["migrate"])["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert annotations_of(jobs["first-admin"])["helm.sh/hook"] == "post-install,post-upgrade"


@pytest.mark.parametrize("file", CI_FILES)
def test_nothing_that_a_first_hook_needs_comes_after_it(file: str) -> None:
    """Before an install there is neither a service account nor a secret or ConfigMap that the release makes."""
    manifests = render_file(file)
    made = {each["metadata"]["name"] for each in manifests if each["kind"] in {"Secret", "ConfigMap"}}
    made |= {each["spec"]["target"]["name"] for each in manifests if each["kind"] == "ExternalSecret"}
    for name, job in of_kind(manifests, "Job").items():
        if "pre-install" in annotations_of(job).get("helm.sh/hook", ""):
            spec = job["spec"]["template"]["spec"]
            assert "serviceAccountName" not in spec, name
            assert not made & set(names_in(spec)), name


def names_in(value: Any) -> Iterator[str]:
    """Every text in it."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from names_in(each)
    elif isinstance(value, str):
        yield value


def test_a_job_that_fails_for_good_leaves_its_log() -> None:
    for file in ("minimal-values.yaml", "trial-values.yaml"):
        for name, job in of_kind(render_file(file), "Job").items():
            assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never", name
    # Kubernetes waits 10 s, 20 s, 40 s, 80 s between attempts; Helm 5 minutes for all of it.
    assert of_kind(render_file("minimal-values.yaml"), "Job")["migrate"]["spec"]["backoffLimit"] == 4


@pytest.mark.parametrize("file", ["argocd-values.yaml", "trial-values.yaml"])
def test_without_hooks_a_job_is_named_by_what_it_runs(file: str) -> None:
    jobs = of_kind(render_file(file), "Job")
    assert not [name for name, job in jobs.items() if "helm.sh/hook" in annotations_of(job)]
    (migrate,) = (name for name in jobs if name.startswith("migrate-"))
    newer = of_kind(render(merged(values_file(file), {"image": {"tag": "9.9.9"}})), "Job")
    assert migrate not in newer
    assert migrate in of_kind(render(values_file(file)), "Job")


def test_rendering_again_changes_nothing_but_what_a_trial_draws() -> None:
    values: dict[str, Any] = values_file("production-values.yaml")
    assert render(values) == render(values)
    drawn = [[each for each in render(TRIAL) if each["kind"] != "Secret"] for _ in range(2)]
    assert drawn[0] == drawn[1]


UNCHANGEABLE = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "Service": ("clusterIP",),
}


def test_an_upgrade_changes_nothing_that_cannot_be_changed() -> None:
    changes: dict[str, Any] = {
        "image": {"tag": "9.9.9"},
        "commonLabels": {"team": "another"},
        "defaults": {"podLabels": {"more": "labels"}, "replicas": 5},
        "dev": {"nats": {"image": {"tag": "9"}, "resources": {"limits": {"memory": "1Gi"}}}},
    }

    def fixed(manifests: list[Manifest]) -> dict[tuple[str, str], list[Any]]:
        return {
            (each["kind"], each["metadata"]["name"]): [each["spec"].get(field) for field in UNCHANGEABLE[each["kind"]]]
            for each in manifests
            if each["kind"] in UNCHANGEABLE
        }

    before = fixed(render(TRIAL))
    assert len(before) > 20
    assert fixed(render(merged(TRIAL, changes))) == before


def test_extra_objects_are_rendered() -> None:
    manifests = render_file("external-secrets-values.yaml")
    (secret,) = (each for each in manifests if each["kind"] == "ExternalSecret")
    assert secret["metadata"]["namespace"] == "files"
    assert of_kind(manifests, "ConfigMap")["extra"]["data"] == {"text": "written as text"}
    assert not of_kind(manifests, "Secret")
