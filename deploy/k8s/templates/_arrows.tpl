{{/* Network policies are made of files/arrows.yaml. Here its ends become selectors, peers and ports. */}}

{{/* Of the trial's own servers: component by end. */}}
{{- define "hythe.devServers" -}}
postgresql: postgresql
nats: nats
objectStore: s3
{{- end -}}

{{/* Text: "true" where pods of this name are part of the release. dict root, end. */}}
{{- define "hythe.isOurs" -}}
{{- $dev := include "hythe.devServers" .root | fromYaml -}}
{{- $values := .root.Values -}}
{{- if hasKey (.root.Files.Get "files/components.yaml" | fromYaml).components .end -}}true
{{- else if eq .end "migrate" -}}{{ ternary "true" "" $values.migrations.enabled }}
{{- else if eq .end "first-admin" -}}{{ ternary "true" "" $values.firstAdmin.enabled }}
{{- else if eq .end "test" -}}{{ ternary "true" "" $values.test.enabled }}
{{- else if eq .end "dev-roles" -}}{{ include "hythe.isDev" (dict "root" .root "part" "postgresql") }}
{{- else if eq .end "dev-bucket" -}}{{ include "hythe.isDev" (dict "root" .root "part" "objectStore") }}
{{- else if hasKey $dev .end -}}{{ include "hythe.isDev" (dict "root" .root "part" .end) }}
{{- end -}}
{{- end -}}

{{/* Component label of an end that is ours. */}}
{{- define "hythe.componentOf" -}}
{{- get (include "hythe.devServers" .root | fromYaml) .end | default .end -}}
{{- end -}}

{{- define "hythe.peer" -}}
- podSelector:
    matchLabels:
      {{- include "hythe.selector" (dict "root" .root "component" (include "hythe.componentOf" .)) | nindent 6 }}
{{- end -}}

{{/* Port at which an end is reached: dict root, end, port (of the arrow). */}}
{{- define "hythe.portAt" -}}
{{- $table := .root.Files.Get "files/components.yaml" | fromYaml -}}
{{- $values := .root.Values -}}
{{- if eq (.port | default "") "metrics" -}}{{ $table.metricsPort }}
{{- else if eq (.port | default "") "monitoring" -}}8222
{{- else if hasKey $table.components .end -}}{{ (index $table.components .end).port }}
{{- else if eq .end "postgresql" -}}{{ ternary 5432 $values.postgresql.port (eq (include "hythe.isDev" (dict "root" .root "part" "postgresql")) "true") }}
{{- else if eq .end "nats" -}}{{ ternary 4222 $values.nats.port (eq (include "hythe.isDev" (dict "root" .root "part" "nats")) "true") }}
{{- else if eq .end "objectStore" -}}{{ ternary 0 (int $values.objectStore.port) (eq (include "hythe.isDev" (dict "root" .root "part" "objectStore")) "true") | default (include "hythe.storeEndpoint" .root | splitList ":" | last) }}
{{- else if eq .end "scanner" -}}{{ $values.worker.scanner.port }}
{{- else if eq .end "collector" -}}{{ include "hythe.portOf" $values.tracing.endpoint }}
{{- else if eq .end "publicUrl" -}}{{ int $values.test.port | default (include "hythe.portOf" ($values.test.url | default (include "hythe.publicUrl" .root))) }}
{{- end -}}
{{- end -}}

{{/* Peers of an end that is not ours. */}}
{{- define "hythe.outsidePeers" -}}
{{- $values := .root.Values -}}
{{- $peers := dict
  "clients" $values.networkPolicy.clients
  "prometheus" $values.networkPolicy.prometheus
  "keda" (list (dict "namespaceSelector" dict))
  "postgresql" $values.postgresql.peers
  "nats" $values.nats.peers
  "objectStore" $values.objectStore.peers
  "scanner" $values.worker.scanner.peers
  "collector" $values.tracing.peers
  "publicUrl" list
-}}
{{- get $peers .end | toYaml -}}
{{- end -}}

{{/* Is there anything at this end? Scanner and collector only where they are named; keda asks only our own NATS. */}}
{{- define "hythe.isThere" -}}
{{- $values := .root.Values -}}
{{- if eq .end "scanner" -}}{{ ternary "true" "" (ne $values.worker.scanner.existingSecret "") }}
{{- else if eq .end "collector" -}}{{ ternary "true" "" (ne $values.tracing.endpoint "") }}
{{- else if has .end (list "webhooks" "sources" "clients" "prometheus" "publicUrl" "postgresql" "nats" "objectStore") -}}true
{{- else if eq .end "keda" -}}{{ include "hythe.isDev" (dict "root" .root "part" "nats") }}
{{- else -}}{{ include "hythe.isOurs" . }}
{{- end -}}
{{- end -}}

{{/* Rules of egress along one arrow: dict root, arrow. */}}
{{- define "hythe.egress" -}}
{{- $end := dict "root" .root "end" .arrow.to "port" .arrow.port -}}
{{- if has .arrow.to (list "webhooks" "sources") -}}
{{- with index .root.Values.networkPolicy .arrow.to }}
{{- toYaml . }}
{{- end }}
{{- else -}}
- ports: [{port: {{ include "hythe.portAt" $end }}, protocol: TCP}]
  {{- if include "hythe.isOurs" $end }}
  to:
    {{- include "hythe.peer" $end | nindent 4 }}
  {{- else }}
  {{- with include "hythe.outsidePeers" $end | fromYamlArray }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "hythe.ingress" -}}
{{- $from := dict "root" .root "end" .arrow.from -}}
- ports: [{port: {{ include "hythe.portAt" (dict "root" .root "end" .arrow.to "port" .arrow.port) }}, protocol: TCP}]
  {{- if include "hythe.isOurs" $from }}
  from:
    {{- include "hythe.peer" $from | nindent 4 }}
  {{- else }}
  {{- with include "hythe.outsidePeers" $from | fromYamlArray }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* The policy of one component: dict root, end. */}}
{{- define "hythe.networkPolicy" -}}
{{- $root := .root -}}
{{- $end := .end -}}
{{- $component := include "hythe.componentOf" . -}}
{{- $extra := (index .root.Values .end | default dict).networkPolicy | default dict -}}
{{- $extra = mustMergeOverwrite (deepCopy .root.Values.defaults.networkPolicy) (deepCopy $extra) -}}
{{- if not (hasKey (.root.Files.Get "files/components.yaml" | fromYaml).components .end) -}}
{{- $extra = dict -}}
{{- end -}}
{{- /* Before the Job, which else would go by the policy of the release before. */ -}}
{{- $annotations := dict -}}
{{- if and (eq .end "migrate") (eq (include "hythe.jobMode" .root) "hook") -}}
{{- $annotations = dict "helm.sh/hook" "pre-install,pre-upgrade" "helm.sh/hook-weight" "-1" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- end -}}
{{- $ingress := list -}}
{{- $egress := list -}}
{{- range (.root.Files.Get "files/arrows.yaml" | fromYaml).arrows -}}
{{- if and (eq .to $end) (include "hythe.isThere" (dict "root" $root "end" .from)) -}}
{{- $ingress = append $ingress (include "hythe.ingress" (dict "root" $root "arrow" .)) -}}
{{- end -}}
{{- if and (eq .from $end) (include "hythe.isThere" (dict "root" $root "end" .to)) -}}
{{- with include "hythe.egress" (dict "root" $root "arrow" .) -}}
{{- $egress = append $egress . -}}
{{- end -}}
{{- end -}}
{{- end }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" $component "annotations" $annotations) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "hythe.selector" (dict "root" .root "component" $component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if or $ingress $extra.extraIngress }}
  ingress:
    {{- range $ingress }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $extra.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- if or $egress $extra.extraEgress }}
  egress:
    - ports:
        {{- range .root.Values.networkPolicy.dnsPorts }}
        - {port: {{ . }}, protocol: UDP}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
      {{- with .root.Values.networkPolicy.dns }}
      to:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- range $egress }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $extra.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}
