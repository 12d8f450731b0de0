{{/* Names, labels, images, secrets: what every template is made of. */}}

{{- define "hythe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Shortened so that the longest name of a part still fits behind it. */}}
{{- define "hythe.fullname" -}}
{{- $name := include "hythe.name" . -}}
{{- $full := .Values.fullnameOverride | default (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) -}}
{{- $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Of an object: dict root, component. */}}
{{- define "hythe.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{ include "hythe.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
app.kubernetes.io/part-of: hythe
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of its pods: dict root, component. Never changes, because a Deployment's selector cannot. */}}
{{- define "hythe.selector" -}}
app.kubernetes.io/name: {{ include "hythe.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end -}}

{{/* Head of an object: dict root, component, and name, labels, annotations where they differ. */}}
{{- define "hythe.metadata" -}}
name: {{ .name | default (printf "%s-%s" (include "hythe.fullname" .root) .component) | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "hythe.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image of Hythe: dict root, image (repository, tag, digest), name. */}}
{{- define "hythe.image" -}}
{{- $repository := .image.repository | default (printf "hythe-%s" .name) -}}
{{- if .root.Values.image.registry -}}{{- $repository = printf "%s/%s" (trimSuffix "/" .root.Values.image.registry) $repository -}}{{- end -}}
{{- include "hythe.reference" (dict "repository" $repository "tag" (.image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion) "digest" .image.digest) -}}
{{- end -}}

{{/* Of a component: dict root, component. */}}
{{- define "hythe.componentImage" -}}
{{- $values := include "hythe.values" . | fromYaml -}}
{{- include "hythe.image" (dict "root" .root "image" $values.image "name" .component) -}}
{{- end -}}

{{- define "hythe.reference" -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag }}{{- end -}}
{{- end -}}

{{/* Is this server brought by the chart? dict root, part. Text: "true" or empty. */}}
{{- define "hythe.isDev" -}}
{{- if and .root.Values.dev.enabled (index .root.Values.dev .part).enabled -}}true{{- end -}}
{{- end -}}

{{- define "hythe.devSecret" -}}{{ include "hythe.fullname" . }}-dev{{- end -}}

{{/* Name of the secret of a part: dict root, part (secrets, postgresql, nats, objectStore, firstAdmin). */}}
{{- define "hythe.secret" -}}
{{- $given := (index .root.Values .part).existingSecret -}}
{{- if has .part (list "secrets" "firstAdmin") -}}
{{- $given | default (ternary (include "hythe.devSecret" .root) "" .root.Values.dev.enabled) -}}
{{- else -}}
{{- ternary (include "hythe.devSecret" .root) $given (eq (include "hythe.isDev" .) "true") -}}
{{- end -}}
{{- end -}}

{{/* A variable from a secret: dict name, secret, key. */}}
{{- define "hythe.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret | quote }}
      key: {{ .key }}
{{- end -}}

{{- define "hythe.publicUrl" -}}
{{- if .Values.publicUrl -}}
{{- .Values.publicUrl -}}
{{- else -}}
{{- $port := .Values.gateway.service.port -}}
{{- printf "%s://%s-gateway.%s.svc%s" (ternary "https" "http" .Values.gateway.tls.enabled) (include "hythe.fullname" .) .Release.Namespace (empty $port | ternary "" (printf ":%v" $port)) -}}
{{- end -}}
{{- end -}}

{{- define "hythe.gatewayPort" -}}
{{- .Values.gateway.service.port | default (ternary 443 80 .Values.gateway.tls.enabled) -}}
{{- end -}}

{{/* Port of a URL: its own, or its scheme's. */}}
{{- define "hythe.portOf" -}}
{{- $host := (urlParse .).host -}}
{{- if contains ":" $host -}}{{ splitList ":" $host | last }}{{- else -}}{{ ternary "443" "80" (hasPrefix "https" .) }}{{- end -}}
{{- end -}}

{{- define "hythe.storeEndpoint" -}}
{{- if include "hythe.isDev" (dict "root" . "part" "objectStore") -}}{{ include "hythe.fullname" . }}-s3:8333{{- else -}}{{ .Values.objectStore.endpoint }}{{- end -}}
{{- end -}}

{{/* Text: "true" or empty. */}}
{{- define "hythe.storeSecure" -}}
{{- if and .Values.objectStore.secure (not (include "hythe.isDev" (dict "root" . "part" "objectStore"))) -}}true{{- end -}}
{{- end -}}

{{/* Values of a component: its own before the defaults. dict root, component. As YAML. */}}
{{- define "hythe.values" -}}
{{- mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values .component)) | toYaml -}}
{{- end -}}

{{/* Most pods that a component may have: its values. */}}
{{- define "hythe.mostPods" -}}
{{- if (.keda | default dict).enabled -}}{{ .keda.maxReplicas }}{{- else if .autoscaling.enabled -}}{{ .autoscaling.maxReplicas }}{{- else -}}{{ .replicas }}{{- end -}}
{{- end -}}

{{/* Does something else set the number of pods? */}}
{{- define "hythe.isScaled" -}}
{{- if or (.keda | default dict).enabled .autoscaling.enabled -}}true{{- end -}}
{{- end -}}

{{- define "hythe.fewestPods" -}}
{{- if (.keda | default dict).enabled -}}{{ .keda.minReplicas }}{{- else if .autoscaling.enabled -}}{{ .autoscaling.minReplicas }}{{- else -}}{{ .replicas }}{{- end -}}
{{- end -}}

{{/* A quantity of memory in bytes; empty where it is not written as a number with a unit. */}}
{{- define "hythe.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $text := include "hythe.scalar" . -}}
{{- if regexMatch "^[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$" $text -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text)) | int64 -}}
{{- end -}}
{{- end -}}

{{/* Memory that a component may come to use, in bytes: its own and that of its children. dict facts, settings, ownMemory. Empty where there are none. */}}
{{- define "hythe.memoryNeeded" -}}
{{- with .facts.children -}}
{{- $count := .count | default 0 | int -}}
{{- range $lane, $its := $.facts.lanes -}}
{{- $count = add $count (get $.settings $its.setting | default $its.slots | int) | int -}}
{{- end -}}
{{- add $.ownMemory (mul $count (get $.settings (.setting | default "") | default .bytes | int64)) -}}
{{- end -}}
{{- end -}}
