{{/* Everything of one component: dict root, component. */}}
{{- define "hythe.component" -}}
{{- $table := .root.Files.Get "files/components.yaml" | fromYaml -}}
{{- $values := include "hythe.values" . | fromYaml -}}
{{- $all := $table.components -}}
{{- $it := dict "root" .root "component" .component "values" $values "facts" (index $all .component) "all" $all "metricsPort" (int $table.metricsPort) -}}
{{- include "hythe.serviceAccount" $it }}
---
{{- include "hythe.service" $it }}
---
{{- include "hythe.deployment" $it }}
{{- if and $values.podDisruptionBudget.enabled (gt (include "hythe.fewestPods" $values | int) 1) }}
---
{{- include "hythe.disruptionBudget" $it }}
{{- end }}
{{- if ($values.keda | default dict).enabled }}
---
{{- include "hythe.scaledObject" $it }}
{{- else if $values.autoscaling.enabled }}
---
{{- include "hythe.autoscaler" $it }}
{{- end }}
{{- end -}}

{{- define "hythe.serviceAccount" }}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component "annotations" .values.serviceAccountAnnotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{/* Headless for gRPC, so that callers see each pod. */}}
{{- define "hythe.service" }}
apiVersion: v1
kind: Service
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component "annotations" .values.serviceAnnotations) | nindent 2 }}
spec:
  {{- if eq .component "gateway" }}
  {{- with .values.service }}
  type: {{ .type }}
  {{- with .loadBalancerClass }}
  loadBalancerClass: {{ . | quote }}
  {{- end }}
  {{- with .loadBalancerSourceRanges }}
  loadBalancerSourceRanges: {{ toJson . }}
  {{- end }}
  {{- with .externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  {{- end }}
  {{- else }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "hythe.selector" . | nindent 4 }}
  ports:
    {{- if eq .component "gateway" }}
    - name: {{ ternary "https" "http" .values.tls.enabled }}
      port: {{ include "hythe.gatewayPort" .root }}
      targetPort: public
      protocol: TCP
      {{- with .values.service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
      {{- with .values.service.appProtocol }}
      appProtocol: {{ . | quote }}
      {{- end }}
    {{- else }}
    - {name: grpc, port: {{ .facts.port }}, targetPort: grpc, protocol: TCP, appProtocol: grpc}
    {{- end }}
    {{- if ne .component "gateway" }}
    - {name: metrics, port: {{ .metricsPort }}, targetPort: metrics, protocol: TCP}
    {{- else }}
---
{{- /* Not behind the address that clients have. */}}
apiVersion: v1
kind: Service
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component "name" (printf "%s-gateway-metrics" (include "hythe.fullname" .root))) | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "hythe.selector" . | nindent 4 }}
  ports:
    - {name: metrics, port: {{ .metricsPort }}, targetPort: metrics, protocol: TCP}
    {{- end }}
{{- end -}}

{{- define "hythe.deployment" }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  {{- if not (include "hythe.isScaled" .values) }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "hythe.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "hythe.labels" . | nindent 8 }}
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $annotations := merge (dict) .values.podAnnotations }}
      {{- if eq .component "gateway" }}
      {{- $_ := set $annotations "checksum/configuration" (include "hythe.gatewayFiles" .root | sha256sum) }}
      {{- end }}
      {{- with $annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "hythe.fullname" .root }}-{{ .component }}
      {{- include "hythe.podSecurity" (dict "user" .values.runAsUser "group" .values.runAsGroup) | nindent 6 }}
      terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
      {{- include "hythe.pullSecrets" .root | nindent 6 }}
      {{- include "hythe.placement" . | nindent 6 }}
      containers:
        - name: {{ .component }}
          {{- if eq .component "gateway" }}
          {{- include "hythe.gatewayContainer" . | nindent 10 }}
          {{- else }}
          {{- include "hythe.serviceContainer" . | nindent 10 }}
          {{- end }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          {{- include "hythe.containerSecurity" . | nindent 10 }}
          {{- with .values.preStopSeconds }}
          lifecycle:
            preStop:
              sleep: {seconds: {{ . }}}
          {{- end }}
          {{- with .values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: {{ .values.tmpSize }}}
        {{- include "hythe.trustVolume" .root | nindent 8 }}
        {{- if eq .component "gateway" }}
        {{- include "hythe.gatewayVolumes" . | nindent 8 }}
        {{- end }}
        {{- if eq .component "identity" }}
        - name: keys
          secret:
            secretName: {{ include "hythe.secret" (dict "root" .root "part" "secrets") | quote }}
            defaultMode: 0440
            items: [{key: jwt-private-key.pem, path: jwt-private-key.pem}]
        {{- end }}
        {{- with .values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{- define "hythe.serviceContainer" -}}
image: {{ include "hythe.image" (dict "root" .root "image" .values.image "name" .component) | quote }}
command: [python, -m, {{ .facts.module }}]
env:
  {{- include "hythe.environment" . | nindent 2 }}
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - {name: grpc, containerPort: {{ .facts.port }}, protocol: TCP}
  - {name: metrics, containerPort: {{ .metricsPort }}, protocol: TCP}
{{- /* `liveness` asks no dependency: an outage of PostgreSQL restarts nothing. */}}
startupProbe:
  grpc: {port: {{ .facts.port }}, service: liveness}
  periodSeconds: 2
  failureThreshold: 45
livenessProbe:
  grpc: {port: {{ .facts.port }}, service: liveness}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  grpc: {port: {{ .facts.port }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- include "hythe.trustMount" .root | nindent 2 }}
  {{- if eq .component "identity" }}
  - {name: keys, mountPath: /etc/hythe/keys, readOnly: true}
  {{- end }}
  {{- with .values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "hythe.disruptionBudget" }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "hythe.selector" . | nindent 6 }}
{{- end -}}
