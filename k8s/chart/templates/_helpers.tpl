{{- define "trefoil.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "trefoil.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "trefoil.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "trefoil.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes of a pod; selectors are made of it. Takes a list: the context and the component. */}}
{{- define "trefoil.selector" -}}
app.kubernetes.io/name: {{ include "trefoil.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "trefoil.labels" -}}
{{ include "trefoil.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | quote }}
{{- end }}

{{- define "trefoil.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The name of a component's service account. Takes a list: the context and the component. */}}
{{- define "trefoil.account" -}}
{{- $root := index . 0 }}
{{- $own := printf "%s%s" (include "trefoil.fullname" $root) (ternary "-agent" "" (eq (index . 1) "agent")) }}
{{- index $root.Values.serviceAccounts (index . 1) | default (ternary $own "default" $root.Values.serviceAccounts.create) }}
{{- end }}

{{- define "trefoil.port" -}}
{{- regexFind "[0-9]+$" . }}
{{- end }}

{{/* Ports of the gateway, as its configuration opens them: a YAML list of name, port, protocol and what is spoken on them. */}}
{{- define "trefoil.ports" -}}
{{- $config := .Values.gateway.config }}
{{- $receive := $config.receive | default dict }}
{{- $jaeger := $receive.jaeger | default dict }}
{{- $scheme := include "trefoil.scheme" . }}
- {name: http, port: {{ include "trefoil.port" $config.server.listen }}, protocol: TCP, speaks: {{ $scheme }}}
{{- range $port := list
  (list "otlp-grpc" (($receive.otlp | default dict).grpc) "TCP" "kubernetes.io/h2c")
  (list "otlp-http" (($receive.otlp | default dict).http) "TCP" "http")
  (list "zipkin" (($receive.zipkin | default dict).http) "TCP" "http")
  (list "jaeger-http" $jaeger.http "TCP" "http")
  (list "jaeger-grpc" $jaeger.grpc "TCP" "kubernetes.io/h2c")
  (list "jaeger-compact" $jaeger.udp_compact "UDP" "")
  (list "jaeger-binary" $jaeger.udp_binary "UDP" "")
  (list "jaeger-sampling" $jaeger.sampling "TCP" "http")
  (list "elastic-apm" (($receive.elastic_apm | default dict).http) "TCP" "http") }}
{{- if index $port 1 }}
- {name: {{ index $port 0 }}, port: {{ include "trefoil.port" (index $port 1) }}, protocol: {{ index $port 2 }}, speaks: {{ ternary $scheme (index $port 3) (and (eq $scheme "https") (ne (index $port 3) "")) | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* What is spoken on the gateway's main port. */}}
{{- define "trefoil.scheme" -}}
{{ ternary "https" "http" (not (empty .Values.gateway.tls.secret)) }}
{{- end }}

{{/* How others in the cluster reach the gateway's main port. */}}
{{- define "trefoil.url" -}}
{{ include "trefoil.scheme" . }}://{{ include "trefoil.fullname" . }}.{{ .Release.Namespace }}.svc:{{ include "trefoil.port" .Values.gateway.config.server.listen }}
{{- end }}

{{/* `prometheus.io/*`, as many Prometheuses find what to scrape. Takes a list: the context, the port and what is spoken there. */}}
{{- define "trefoil.scraped" -}}
{{- if (index . 0).Values.monitoring.annotations }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ index . 1 | quote }}
prometheus.io/path: /metrics
{{- if eq (index . 2) "https" }}
prometheus.io/scheme: https
{{- end }}
{{- end }}
{{- end }}
