{{- define "rollbook.selector" -}}
app.kubernetes.io/name: rollbook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rollbook.labels" -}}
{{ include "rollbook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
