{{/* Envoy: its configuration is generated from the repository's gateway/ (files/gateway); here its tokens are filled. */}}

{{- define "hythe.gatewayConfiguration" -}}
{{- $all := (.Files.Get "files/components.yaml" | fromYaml) -}}
{{- $fullname := include "hythe.fullname" . -}}
{{- $store := include "hythe.storeEndpoint" . | splitList ":" -}}
{{- $secure := eq (include "hythe.storeSecure" .) "true" -}}
{{- $usual := or (and $secure (eq (last $store) "443")) (and (not $secure) (eq (last $store) "80")) -}}
{{- $tokens := dict
  "GATEWAY_ADDRESS" "0.0.0.0"
  "GATEWAY_PORT" (int $all.components.gateway.port)
  "ADMIN_PORT" 9901
  "S3_HOST" (first $store)
  "S3_PORT" (last $store)
  "S3_AUTHORITY" (ternary (first $store) (join ":" $store) $usual)
  "S3_BUCKET" .Values.objectStore.bucket
  "S3_PREFIX" .Values.objectStore.prefix
  "GATEWAY_DIR" "/etc/hythe/gateway"
  "CORS_ORIGIN_REGEX" .Values.gateway.corsOriginRegex
  "MULTIPART_MAX_BYTES" (int64 .Values.gateway.multipartMaxBytes)
  "REQUESTS_PER_SECOND" (int64 .Values.gateway.requestsPerSecond)
-}}
{{- range list "upload" "importer" "status" "identity" -}}
{{- $_ := set $tokens (printf "%s_HOST" (upper .)) (printf "%s-%s" $fullname .) -}}
{{- $_ := set $tokens (printf "%s_PORT" (upper .)) (int (index $all.components .).port) -}}
{{- end -}}
{{- tpl (.Files.Get "files/gateway/envoy.yaml") (dict
  "Template" .Template
  "tokens" $tokens
  "tls" .Values.gateway.tls.enabled
  "storeTls" $secure
  "authorities" (ternary "/etc/hythe/trust/ca.crt" "/etc/ssl/certs/ca-certificates.crt" (ne .Values.trustedCertificates.existingConfigMap ""))
  "behindProxy" .Values.gateway.behindProxy
  "metricsPort" (int $all.metricsPort)) -}}
{{- end -}}

{{/* Envoy watches the folder, so a new certificate is taken without a restart. */}}
{{- define "hythe.gatewayCertificate" -}}
resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: server
  tls_certificate:
    certificate_chain: {filename: /etc/hythe/tls/tls.crt}
    private_key: {filename: /etc/hythe/tls/tls.key}
    watched_directory: {path: /etc/hythe/tls}
{{- end -}}

{{/* Of the ConfigMap that the gateway runs on. */}}
{{- define "hythe.gatewayFiles" -}}
data:
  envoy.yaml: |
    {{- include "hythe.gatewayConfiguration" . | nindent 4 }}
  {{- if .Values.gateway.tls.enabled }}
  certificate.yaml: |
    {{- include "hythe.gatewayCertificate" . | nindent 4 }}
  {{- end }}
  gateway.lua: |
    {{- .Files.Get "files/gateway/gateway.lua" | nindent 4 }}
binaryData:
  descriptors.pb: {{ .Files.Get "files/gateway/descriptors.pb" | b64enc }}
{{- end -}}

{{- define "hythe.gatewayContainer" -}}
image: {{ include "hythe.reference" .values.image | quote }}
{{- /* Not the image's entrypoint, which would change the user. */}}
command: [/usr/local/bin/envoy]
args: ["--disable-hot-restart", "--concurrency", {{ .values.concurrency | quote }}, "-l", warning, "-c", /etc/hythe/gateway/envoy.yaml]
{{- with .values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: public, containerPort: {{ .facts.port }}, protocol: TCP}
  - {name: metrics, containerPort: {{ .metricsPort }}, protocol: TCP}
{{- /* Alive by the port of the metrics, which takes the kubelet in when the clients have all connections; ready by theirs. */}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /healthz, port: public, scheme: {{ ternary "HTTPS" "HTTP" .values.tls.enabled }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: configuration, mountPath: /etc/hythe/gateway, readOnly: true}
  {{- if .values.tls.enabled }}
  - {name: certificate, mountPath: /etc/hythe/tls, readOnly: true}
  {{- end }}
  {{- include "hythe.trustMount" .root | nindent 2 }}
  {{- with .values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "hythe.gatewayVolumes" -}}
- name: configuration
  projected:
    sources:
      - configMap:
          name: {{ include "hythe.fullname" .root }}-gateway
      {{- range $path, $_ := .root.Files.Glob "files/gateway/openapi/*.json" }}
      - configMap:
          name: {{ include "hythe.fullname" $.root }}-openapi-{{ base $path | trimSuffix ".json" }}
          items: [{key: {{ base $path }}, path: openapi/{{ base $path }}}]
      {{- end }}
{{- if .values.tls.enabled }}
- name: certificate
  secret:
    secretName: {{ .values.tls.existingSecret | quote }}
    defaultMode: 0440
{{- end }}
{{- end -}}
