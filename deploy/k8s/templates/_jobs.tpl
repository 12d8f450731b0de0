{{/* Migration and first administrator. In mode `hook` they are hooks of Helm, else Jobs whose name says what they run. */}}

{{- define "hythe.jobMode" -}}
{{- ternary "job" .Values.migrations.mode .Values.dev.enabled -}}
{{- end -}}

{{/* dict root, component, values, hooks (of Helm), weight, pod (YAML). */}}
{{- define "hythe.job" -}}
{{- $name := printf "%s-%s" (include "hythe.fullname" .root) .component -}}
{{- $annotations := merge (dict) .values.annotations -}}
{{- if eq (include "hythe.jobMode" .root) "hook" -}}
{{- $annotations = merge $annotations (dict "helm.sh/hook" .hooks "helm.sh/hook-weight" .weight "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded") -}}
{{- else -}}
{{- /* A Job cannot be changed: another pod is another Job. */ -}}
{{- $name = printf "%s-%s" $name (.pod | sha256sum | trunc 8) -}}
{{- end -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "hythe.metadata" (dict "root" .root "component" .component "name" $name "annotations" $annotations) | nindent 2 }}
spec:
  {{- /* A trial's own servers start at the same time, and their images may take minutes. */}}
  backoffLimit: {{ ternary 20 .values.backoffLimit .root.Values.dev.enabled }}
  activeDeadlineSeconds: {{ .values.activeDeadlineSeconds }}
  template:
    {{- .pod | nindent 4 }}
{{- end -}}

{{- define "hythe.migratePod" -}}
{{- $secret := include "hythe.secret" (dict "root" . "part" "postgresql") -}}
{{- include "hythe.jobPod" (dict
  "root" . "component" "migrate"
  "image" (include "hythe.image" (dict "root" . "image" .Values.migrations.image "name" "migrate"))
  "command" (list "alembic" "upgrade" "head")
  "env" (include "hythe.secretVariable" (dict "name" "HYTHE_DATABASE_URL" "secret" $secret "key" "owner-url"))
  "resources" .Values.migrations.resources) -}}
{{- end -}}

{{- define "hythe.firstAdminPod" -}}
{{- include "hythe.jobPod" (dict
  "root" . "component" "first-admin"
  "image" (include "hythe.componentImage" (dict "root" . "component" "identity"))
  "command" (list "python" "-m" "services.identity.bootstrap")
  "env" (include "hythe.firstAdminEnvironment" .)
  "mounts" "- {name: secrets, mountPath: /etc/hythe/first-admin, readOnly: true}"
  "volumes" (include "hythe.firstAdminVolume" .)
  "resources" .Values.firstAdmin.resources) -}}
{{- end -}}

{{- define "hythe.firstAdminEnvironment" -}}
{{- with .Values.firstAdmin -}}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_DATABASE_URL" "secret" (include "hythe.secret" (dict "root" $ "part" "postgresql")) "key" "identity-url") }}
- {name: HYTHE_ADMIN_PASSWORD_FILE, value: /etc/hythe/first-admin/admin-password}
{{- if .apiKey }}
- {name: HYTHE_BOOTSTRAP_API_KEY_FILE, value: /etc/hythe/first-admin/api-key}
{{- end }}
- {name: HYTHE_BOOTSTRAP_TENANT, value: {{ .tenant | quote }}}
- {name: HYTHE_BOOTSTRAP_USER, value: {{ .user | quote }}}
- {name: HYTHE_BOOTSTRAP_WORKSPACE, value: {{ .workspace | quote }}}
- {name: HYTHE_BOOTSTRAP_BUCKET, value: {{ .bucket | quote }}}
- {name: HYTHE_BOOTSTRAP_ASSETS_WORKSPACE, value: {{ .assetsWorkspace | quote }}}
{{- end -}}
{{- end -}}

{{- define "hythe.firstAdminVolume" -}}
- name: secrets
  secret:
    secretName: {{ include "hythe.secret" (dict "root" . "part" "firstAdmin") | quote }}
    defaultMode: 0440
    items:
      - {key: admin-password, path: admin-password}
      {{- if .Values.firstAdmin.apiKey }}
      - {key: api-key, path: api-key}
      {{- end }}
{{- end -}}
