{{/* The environment of a service: dict root, component, values, facts. Later entries of one name would win, so each name is there once. */}}
{{- define "hythe.environment" -}}
{{- $root := .root -}}
{{- $facts := .facts -}}
{{- $fullname := include "hythe.fullname" $root -}}
- {name: HOME, value: /tmp}
- {name: {{ $facts.listens }}, value: "0.0.0.0:{{ $facts.port }}"}
- {name: HYTHE_METRICS_LISTEN, value: "0.0.0.0:{{ .metricsPort }}"}
{{- range $variable, $role := $facts.database }}
{{ include "hythe.secretVariable" (dict "name" $variable "secret" (include "hythe.secret" (dict "root" $root "part" "postgresql")) "key" (printf "%s-url" $role)) }}
{{- end }}
{{- with $facts.nats }}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_NATS_URL" "secret" (include "hythe.secret" (dict "root" $root "part" "nats")) "key" (printf "nats-%s-url" .)) }}
{{- end }}
{{- range $facts.calls }}
- {name: HYTHE_{{ upper . }}_ADDRESS, value: "{{ $fullname }}-{{ . }}:{{ (index $.all .).port }}"}
{{- end }}
{{- if $facts.objectStore }}
{{ include "hythe.storeEnvironment" $root }}
{{- end }}
- {name: HYTHE_PUBLIC_URL, value: {{ include "hythe.publicUrl" $root | quote }}}
{{- if $facts.seals }}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_SECRETS_KEY" "secret" (include "hythe.secret" (dict "root" $root "part" "secrets")) "key" "secrets-key") }}
{{- end }}
{{- if eq .component "identity" }}
- {name: HYTHE_JWT_PRIVATE_KEY_FILE, value: /etc/hythe/keys/jwt-private-key.pem}
{{- end }}
{{- if and (eq .component "worker") .values.scanner.existingSecret }}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_SCAN_URL" "secret" .values.scanner.existingSecret "key" "scan-url") }}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_AUDIT_DATABASE_URL" "secret" (include "hythe.secret" (dict "root" $root "part" "postgresql")) "key" "audit-url") }}
{{- end }}
{{- with $root.Values.tracing.endpoint }}
- {name: HYTHE_OTLP_ENDPOINT, value: {{ . | quote }}}
- {name: HYTHE_TRACE_RATIO, value: {{ $root.Values.tracing.ratio | quote }}}
{{- end }}
{{- include "hythe.trustVariable" $root }}
{{- range $name, $value := include "hythe.settings" . | fromYaml }}
- {name: HYTHE_{{ upper $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "hythe.storeEnvironment" -}}
{{- $secret := include "hythe.secret" (dict "root" . "part" "objectStore") -}}
- {name: HYTHE_S3_ENDPOINT, value: {{ include "hythe.storeEndpoint" . | quote }}}
- {name: HYTHE_S3_SECURE, value: {{ include "hythe.storeSecure" . | default "false" | quote }}}
- {name: HYTHE_S3_REGION, value: {{ .Values.objectStore.region | quote }}}
- {name: HYTHE_S3_BUCKET, value: {{ .Values.objectStore.bucket | quote }}}
- {name: HYTHE_S3_PREFIX, value: {{ .Values.objectStore.prefix | quote }}}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_S3_ACCESS_KEY" "secret" $secret "key" "access-key") }}
{{ include "hythe.secretVariable" (dict "name" "HYTHE_S3_SECRET_KEY" "secret" $secret "key" "secret-key") }}
{{- end -}}

{{/* Settings of a component, by name: its own before those for all. Numbers are written out, never as 1e+09. */}}
{{- define "hythe.settings" -}}
{{- $settings := mustMergeOverwrite (deepCopy .root.Values.settings) (deepCopy (.values.settings | default dict)) -}}
{{- if and (eq .component "importer") (not (hasKey $settings "worker_slots")) -}}
{{- $_ := set $settings "worker_slots" (include "hythe.workerSlots" .root) -}}
{{- end -}}
{{- range $name, $value := $settings }}
{{ $name }}: {{ include "hythe.scalar" $value | quote }}
{{- end }}
{{- end -}}

{{- define "hythe.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ . | int64 }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* What all workers of a lane may hold at once: the slots of as many pods as there may be, and 16 at least. */}}
{{- define "hythe.workerSlots" -}}
{{- $most := 16 -}}
{{- range $component, $facts := (.Files.Get "files/components.yaml" | fromYaml).components -}}
{{- $values := include "hythe.values" (dict "root" $ "component" $component) | fromYaml -}}
{{- range $lane, $its := $facts.lanes -}}
{{- $slots := include "hythe.settings" (dict "root" $ "component" $component "values" $values) | fromYaml | dig $its.setting $its.slots | int -}}
{{- $most = max $most (mul (include "hythe.mostPods" $values | int) $slots) -}}
{{- end -}}
{{- end -}}
{{- $most -}}
{{- end -}}
