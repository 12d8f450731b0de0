{{/* A trial's own servers. All credentials are in one secret, made at the first install and kept. */}}

{{- define "hythe.devRoles" -}}
[owner, upload, importer, dispatch, worker, fetcher, status, identity, audit]
{{- end -}}

{{- define "hythe.devNatsUsers" -}}
[operator, dispatcher, worker, fetcher, listener]
{{- end -}}

{{/* Data of the secret. Letters only where a value goes into a URL or into the configuration of NATS, which would read 1e5 as a number. */}}
{{- define "hythe.devSecretData" -}}
{{- $fullname := include "hythe.fullname" . -}}
{{- $kept := (lookup "v1" "Secret" .Release.Namespace (include "hythe.devSecret" .)).data | default dict -}}
{{- $data := dict -}}
{{- $new := dict
  "postgres-password" (randAlpha 32)
  "access-key" (printf "hythe%s" (randAlpha 15 | lower))
  "secret-key" (randAlpha 40)
  "secrets-key" (randBytes 32 | replace "+" "-" | replace "/" "_")
  "jwt-private-key.pem" (genPrivateKey "ecdsa")
  "admin-password" (randAlphaNum 24)
  "api-key" (printf "hythe_%s" (randAlphaNum 43))
-}}
{{- range include "hythe.devRoles" . | fromYamlArray -}}
{{- $_ := set $new (printf "%s-password" .) (randAlpha 32) -}}
{{- end -}}
{{- range include "hythe.devNatsUsers" . | fromYamlArray -}}
{{- $_ := set $new (printf "nats-%s-password" .) (randAlpha 32) -}}
{{- end -}}
{{- range $key, $value := $new -}}
{{- $_ := set $data $key (hasKey $kept $key | ternary (get $kept $key | b64dec) $value) -}}
{{- end -}}
{{- range include "hythe.devRoles" . | fromYamlArray -}}
{{- $_ := set $data (printf "%s-url" .) (printf "postgresql+psycopg://hythe_%s:%s@%s-postgresql:5432/hythe" . (get $data (printf "%s-password" .)) $fullname) -}}
{{- end -}}
{{- range include "hythe.devNatsUsers" . | fromYamlArray -}}
{{- $_ := set $data (printf "nats-%s-url" .) (printf "nats://%s:%s@%s-nats:4222" . (get $data (printf "nats-%s-password" .)) $fullname) -}}
{{- end -}}
{{- $_ := set $data "s3.json" (dict "identities" (list (dict "name" "hythe" "credentials" (list (dict "accessKey" (get $data "access-key") "secretKey" (get $data "secret-key"))) "actions" (list "Admin" "Read" "Write" "List" "Tagging"))) | toJson) -}}
{{- $data | toYaml -}}
{{- end -}}

{{/* A single server: dict root, part, component, values, port, container (YAML), mount, volumes (YAML), tmp. */}}
{{- define "hythe.devServer" -}}
{{- $metadata := dict "root" .root "component" .component -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "hythe.metadata" $metadata | nindent 2 }}
spec:
  selector:
    {{- include "hythe.selector" $metadata | nindent 4 }}
  ports:
    {{- .ports | nindent 4 }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "hythe.metadata" $metadata | nindent 2 }}
spec:
  replicas: 1
  serviceName: {{ include "hythe.fullname" .root }}-{{ .component }}
  selector:
    matchLabels:
      {{- include "hythe.selector" $metadata | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "hythe.labels" $metadata | nindent 8 }}
    spec:
      {{- include "hythe.podSecurity" (dict "user" .values.runAsUser "group" .values.runAsUser) | nindent 6 }}
      terminationGracePeriodSeconds: 60
      {{- include "hythe.pullSecrets" .root | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "hythe.reference" .values.image | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          {{- include "hythe.containerSecurity" . | nindent 10 }}
          {{- .container | nindent 10 }}
          resources:
            {{- toYaml .values.resources | nindent 12 }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 256Mi}
        {{- .volumes | nindent 8 }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "hythe.selector" $metadata | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.dev.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources:
          requests: {storage: {{ .values.size }}}
{{- end -}}
