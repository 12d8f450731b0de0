"""The chart's copies of what the local stack runs on: the gateway's files, the users of NATS, the database's roles.

Tokens of gateway/render.py become actions of Helm, and Envoy's configuration gets what only a cluster needs: TLS on
both sides and a port for Prometheus. Each addition has one place in the source; a source without it is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from deploy.chart.place import GenerationError
from deploy.local.instance import ROOT
from gateway.render import TOKEN, is_comment

GATEWAY = ROOT / "gateway"
FOLDERS = ("files/gateway",)
"""In the chart; everything in them is generated."""

HEAD = "# Made of {source} by `make chart-docs`; change that one.\n"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"

# Who watches a file for its certificate must have a name.
NODE = "node: {id: gateway, cluster: hythe}\n"
LISTENER_TLS = f"""\
    - name: public
{{{{- if .tls }}}}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": {TLS}.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_2}}
            tls_certificate_sds_secret_configs:
            - name: server
              sds_config: {{path_config_source: {{path: '{{{{ .tokens.GATEWAY_DIR }}}}/certificate.yaml'}}}}
{{{{- end }}}}
      filters:
"""
STORE_TLS = f"""\
  - name: s3
{{{{- if .storeTls }}}}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": {TLS}.UpstreamTlsContext
        sni: '{{{{ .tokens.S3_HOST }}}}'
        common_tls_context:
          tls_params: {{tls_minimum_protocol_version: TLSv1_2}}
          validation_context:
            trusted_ca: {{filename: '{{{{ .authorities }}}}'}}
            match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: '{{{{ .tokens.S3_HOST }}}}'}}}}]
{{{{- end }}}}
"""
METRICS_LISTENER = """\
  # What Prometheus reads and the kubelet asks, and nothing else of Envoy's administration.
  - name: metrics
    # Or a gateway with all the connections it takes would be killed, and the uploads on them with it.
    ignore_global_conn_limit: true
    address: {socket_address: {address: '{{ .tokens.GATEWAY_ADDRESS }}', port_value: {{ .metricsPort }}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: metrics
          route_config:
            virtual_hosts:
            - name: metrics
              domains: ["*"]
              routes:
              - match: {path: /healthz}
                direct_response: {status: 200}
              - match: {path: /metrics, headers: [{name: ":method", string_match: {exact: GET}}]}
                route: {cluster: admin, prefix_rewrite: /stats/prometheus}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}

  clusters:
"""
ADMIN_CLUSTER = """\
  - name: admin
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: admin
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{ .tokens.ADMIN_PORT }}}}}
"""
# A line of gateway/envoy.yaml and what stands in its place.
ADDITIONS = {
    "    - filters:\n": LISTENER_TLS,
    "  - name: s3\n": STORE_TLS,
    "  clusters:\n": METRICS_LISTENER,
    "          use_remote_address: true\n": "          use_remote_address: {{ not .behindProxy }}\n",
}


def files() -> dict[str, bytes]:
    """By path in the chart."""
    plain = [GATEWAY / "gateway.lua", GATEWAY / "descriptors.pb"]
    return {
        **{f"files/{file.relative_to(ROOT)}": file.read_bytes() for file in plain},
        **{f"files/{file.relative_to(ROOT)}": compact(file) for file in sorted((GATEWAY / "openapi").glob("*.json"))},
        "files/gateway/envoy.yaml": envoy((GATEWAY / "envoy.yaml").read_text()).encode(),
        "files/nats.conf": nats((ROOT / "deploy" / "local" / "nats.conf").read_text()).encode(),
        "files/roles.sql": (ROOT / "migrations" / "roles.sql").read_bytes(),
    }


def compact(document: Path) -> bytes:
    """JSON without the spaces that are for people."""
    return json.dumps(json.loads(document.read_text()), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def envoy(source: str) -> str:
    """Envoy's configuration as a template of Helm."""
    lines = [line for line in source.splitlines(keepends=True) if not (is_comment(line) and TOKEN.search(line))]
    text = TOKEN.sub(r"{{ .tokens.\1 }}", "".join(lines))
    for line, replacement in ADDITIONS.items():
        if len(re.findall(f"^{re.escape(line)}", text, re.MULTILINE)) != 1:
            raise GenerationError(f"gateway/envoy.yaml does not have exactly one line {line.strip()!r}.")
        text = re.sub(f"^{re.escape(line)}", lambda _, put=replacement: put, text, flags=re.MULTILINE)  # type: ignore[misc]
    return HEAD.format(source="gateway/envoy.yaml") + NODE + text.rstrip("\n") + "\n" + ADMIN_CLUSTER


def nats(source: str) -> str:
    """The configuration of NATS, with passwords from the environment and no token left."""
    text = re.sub(r'"\{\{([A-Z]+_PASSWORD)\}\}"', r"$\1", source)
    for token, value in {"PORT": "4222", "MONITOR_PORT": "8222", "STORE": "/data"}.items():
        text = text.replace("{{" + token + "}}", value)
    text = text.replace("127.0.0.1:", "0.0.0.0:").replace("hythe-local", "hythe-dev")
    if left := TOKEN.findall(text):
        raise GenerationError(f"deploy/local/nats.conf has tokens that nobody fills: {', '.join(left)}.")
    return HEAD.format(source="deploy/local/nats.conf") + text
