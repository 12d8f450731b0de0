{{- define "hythe.autoscaler" }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "hythe.fullname" .root }}-{{ .component }}
  minReplicas: {{ .values.autoscaling.minReplicas }}
  maxReplicas: {{ .values.autoscaling.maxReplicas }}
  metrics:
    {{- with .values.autoscaling.targetCPUUtilizationPercentage }}
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ . }}}}
    {{- end }}
    {{- with .values.autoscaling.targetMemoryUtilizationPercentage }}
    - type: Resource
      resource: {name: memory, target: {type: Utilization, averageUtilization: {{ . }}}}
    {{- end }}
  {{- with .values.autoscaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* By the lag of each lane: messages that wait and messages in hand, so busy workers keep their number. */}}
{{- define "hythe.scaledObject" }}
{{- $endpoint := ternary (printf "%s-nats.%s:8222" (include "hythe.fullname" .root) .root.Release.Namespace) .root.Values.nats.monitoringEndpoint (eq (include "hythe.isDev" (dict "root" .root "part" "nats")) "true") }}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "hythe.fullname" .root }}-{{ .component }}
  minReplicaCount: {{ .values.keda.minReplicas }}
  maxReplicaCount: {{ .values.keda.maxReplicas }}
  pollingInterval: {{ .values.keda.pollingInterval }}
  cooldownPeriod: {{ .values.keda.cooldownPeriod }}
  {{- with .values.autoscaling.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    {{- $settings := include "hythe.settings" . | fromYaml }}
    {{- range $lane, $its := .facts.lanes }}
    {{- $slots := get $settings $its.setting | default $its.slots | int }}
    {{- if $slots }}
    - type: nats-jetstream
      name: {{ $lane }}
      metadata:
        natsServerMonitoringEndpoint: {{ $endpoint | quote }}
        account: {{ $.root.Values.nats.account | quote }}
        stream: IMPORTS
        consumer: {{ $lane }}
        lagThreshold: {{ int $.values.keda.lagThreshold | default $slots | quote }}
        activationLagThreshold: {{ $.values.keda.activationLagThreshold | quote }}
        useHttps: {{ $.root.Values.nats.monitoringUseHttps | quote }}
    {{- end }}
    {{- end }}
{{- end -}}
