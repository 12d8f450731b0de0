{{/* What all pods have in common. The security contexts are no values: every pod meets the restricted standard. */}}

{{/* Of a pod: dict user, group. A user of null is the platform's choice. */}}
{{- define "hythe.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .user }}
  runAsUser: {{ . | int64 }}
  {{- end }}
  {{- with .group }}
  runAsGroup: {{ . | int64 }}
  fsGroup: {{ . | int64 }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "hythe.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "hythe.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where pods run: dict root, component, values. */}}
{{- define "hythe.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- $selector := include "hythe.selector" . | fromYaml }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml (merge (dict) . (dict "labelSelector" (dict "matchLabels" $selector))) | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The pod of a Job: dict root, component, image, command, env, volumes, mounts, resources, and user where it differs.
     Each of env, volumes and mounts is YAML text. */}}
{{- define "hythe.jobPod" -}}
metadata:
  labels:
    {{- include "hythe.labels" . | nindent 4 }}
spec:
  {{- /* A pod that is restarted in its place is deleted at the last failure, and its log with it. */}}
  restartPolicy: Never
  {{- include "hythe.podSecurity" (dict "user" (.user | default .root.Values.defaults.runAsUser) "group" (.user | default .root.Values.defaults.runAsGroup)) | nindent 2 }}
  {{- include "hythe.pullSecrets" .root | nindent 2 }}
  {{- with .root.Values.defaults.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.defaults.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ .image | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: {{ toJson .command }}
      {{- include "hythe.containerSecurity" . | nindent 6 }}
      env:
        - {name: HOME, value: /tmp}
        {{- include "hythe.trustVariable" .root | nindent 8 }}
        {{- .env | nindent 8 }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- include "hythe.trustMount" .root | nindent 8 }}
        {{- .mounts | default "" | nindent 8 }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- include "hythe.trustVolume" .root | nindent 4 }}
    {{- .volumes | default "" | nindent 4 }}
{{- end -}}

{{/* Authorities of the operator's own. */}}
{{- define "hythe.trustVariable" -}}
{{- if .Values.trustedCertificates.existingConfigMap }}
- {name: SSL_CERT_FILE, value: /etc/hythe/trust/ca.crt}
- {name: PGSSLROOTCERT, value: /etc/hythe/trust/ca.crt}
{{- end }}
{{- end -}}

{{- define "hythe.trustMount" -}}
{{- if .Values.trustedCertificates.existingConfigMap }}
- {name: trust, mountPath: /etc/hythe/trust, readOnly: true}
{{- end }}
{{- end -}}

{{- define "hythe.trustVolume" -}}
{{- if .Values.trustedCertificates.existingConfigMap }}
- name: trust
  configMap:
    name: {{ .Values.trustedCertificates.existingConfigMap | quote }}
    items: [{key: {{ .Values.trustedCertificates.key | quote }}, path: ca.crt}]
{{- end }}
{{- end -}}
