"""values.schema.json: the shape of values.yaml, with what a default cannot tell, and every setting of every service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deploy.chart.comments import Path, descriptions
from deploy.chart.place import components, values
from deploy.chart.settings import open_settings, shared_settings

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "array", "items": TEXT}
OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
TEXT_MAP: Schema = {"type": "object", "additionalProperties": TEXT}
FREE: Schema = {"type": "object"}
NATURAL: Schema = {"type": "integer", "minimum": 0}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
OPTIONAL_PORT: Schema = {**PORT, "minimum": 0}
ADDRESS: Schema = {"type": "string", "pattern": r"^$|^[A-Za-z0-9.-]+:[0-9]{1,5}$"}
# What goes into Envoy's configuration must not end the text that it stands in (gateway/render.py).
INERT = "[^'\"{}\\n]*"
DIGEST: Schema = {"type": "string", "pattern": "^$|^sha256:[0-9a-f]{64}$"}
REPOSITORY: Schema = {"type": "string", "pattern": "^[a-z0-9._/:-]*$"}
USER: Schema = {"type": ["integer", "null"], "minimum": 1}
QUANTITY: Schema = {"type": "string", "pattern": "^[0-9.]+(Ki|Mi|Gi|Ti)$"}
RESOURCES: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        kind: {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
        for kind in ("requests", "limits")
    },
}
HOSTS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["host"],
        "properties": {"host": TEXT, "path": TEXT, "pathType": {"enum": ["Prefix", "Exact", "ImplementationSpecific"]}},
    },
}

# By the name of the key, wherever it stands.
BY_KEY: dict[str, Schema] = {
    "annotations": TEXT_MAP,
    "labels": TEXT_MAP,
    "commonLabels": TEXT_MAP,
    "commonAnnotations": TEXT_MAP,
    "podLabels": TEXT_MAP,
    "podAnnotations": TEXT_MAP,
    "serviceAccountAnnotations": TEXT_MAP,
    "serviceAnnotations": TEXT_MAP,
    "nodeSelector": TEXT_MAP,
    "affinity": FREE,
    "behavior": FREE,
    "resources": RESOURCES,
    "peers": OBJECTS,
    "clients": OBJECTS,
    "prometheus": OBJECTS,
    "dns": OBJECTS,
    "webhooks": OBJECTS,
    "sources": OBJECTS,
    "extraEnv": OBJECTS,
    "extraEnvFrom": OBJECTS,
    "extraVolumes": OBJECTS,
    "extraVolumeMounts": OBJECTS,
    "extraIngress": OBJECTS,
    "extraEgress": OBJECTS,
    "extraObjects": {"type": "array", "items": {"type": ["object", "string"]}},
    "tolerations": OBJECTS,
    "topologySpreadConstraints": OBJECTS,
    "parentRefs": OBJECTS,
    "tls": OBJECTS,
    "hosts": HOSTS,
    "hostnames": TEXTS,
    "disabled": TEXTS,
    "pullSecrets": TEXTS,
    "loadBalancerSourceRanges": TEXTS,
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "digest": DIGEST,
    "repository": REPOSITORY,
    "registry": REPOSITORY,
    "runAsUser": USER,
    "runAsGroup": USER,
    "tmpSize": QUANTITY,
    "size": QUANTITY,
    "port": PORT,
    "maxUnavailable": {"type": ["integer", "string"], "pattern": "^[0-9]{1,3}%$", "minimum": 1},
    "concurrency": POSITIVE,
    "maxReplicas": POSITIVE,
    "dnsPorts": {"type": "array", "items": PORT, "minItems": 1},
    "pollingInterval": POSITIVE,
    "endpoint": ADDRESS,
    "monitoringEndpoint": ADDRESS,
    "mode": {"enum": ["hook", "job"]},
}
# By path, where the name is not enough.
BY_PATH: dict[Path, Schema] = {
    ("publicUrl",): {"type": "string", "pattern": r"^$|^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$"},
    ("test", "url"): {"type": "string", "pattern": r"^$|^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$"},
    ("tracing", "endpoint"): {"type": "string", "pattern": r"^$|^https?://[A-Za-z0-9.-]+:[0-9]{1,5}$"},
    ("tracing", "ratio"): {"type": "number", "minimum": 0, "maximum": 1},
    ("objectStore", "port"): OPTIONAL_PORT,
    ("test", "port"): OPTIONAL_PORT,
    ("objectStore", "bucket"): {"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{1,62}$"},
    ("objectStore", "prefix"): {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._/-]*$"},
    ("gateway", "corsOriginRegex"): {"type": "string", "pattern": f"^{INERT}$"},
    ("gateway", "multipartMaxBytes"): {"type": "integer", "minimum": 1, "maximum": (1 << 32) - 1},
    ("gateway", "requestsPerSecond"): POSITIVE,
    ("gateway", "service", "port"): OPTIONAL_PORT,
    ("gateway", "service", "nodePort"): OPTIONAL_PORT,
    ("gateway", "service", "type"): {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    ("gateway", "service", "externalTrafficPolicy"): {"enum": ["", "Cluster", "Local"]},
    ("firstAdmin", "tenant"): {"type": "string", "minLength": 1},
    ("firstAdmin", "user"): {"type": "string", "minLength": 1},
}


def text() -> str:
    described = descriptions()
    tree = values()
    shared = tree["defaults"]
    for name in components():
        tree[name] = {**shared, **tree[name]}
    whole = shape(tree, (), described)
    whole["properties"]["settings"] = settings_schema(shared_settings())
    for name in components():
        if name != "gateway":
            whole["properties"][name]["properties"]["settings"] = settings_schema(open_settings(name))
    # Helm hands a chart that is part of another one more key.
    whole["properties"]["global"] = FREE
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart hythe"}
    return json.dumps({**head, **whole}, indent=1, ensure_ascii=False) + "\n"


def shape(value: Any, path: Path, described: Mapping[Path, str]) -> Schema:
    """The schema of a value whose default this is."""
    found = {**_known(value, path, described)}
    # A component's key is described where it is one of its own, else among the defaults.
    about = described.get(path) or (
        described.get(("defaults", *path[1:])) if path and path[0] in components() else None
    )
    return {"description": about, **found} if about else found


def _known(value: Any, path: Path, described: Mapping[Path, str]) -> Schema:
    found = BY_PATH.get(path) or BY_KEY.get(path[-1] if path else "")
    # `tls` is a list in one place and a map in another.
    if found and not (isinstance(value, dict) and found.get("type") == "array"):
        return found
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return NATURAL
        case str():
            return TEXT
        case dict():
            inner = {key: shape(each, (*path, key), described) for key, each in value.items()}
            return {"type": "object", "additionalProperties": False, "properties": inner}
    raise TypeError(f"{'.'.join(path)}: no schema for {value!r}")


def settings_schema(settings: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": dict(settings)}
