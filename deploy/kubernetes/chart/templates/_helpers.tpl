{{- define "grace.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "grace.labels" -}}
app.kubernetes.io/name: grace
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* A Deployment of one container: dict "root" $ "part" name "command" list, "port" and "probe"
     where something listens, "replicas". */}}
{{- define "grace.deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $root.Release.Name }}-{{ .part }}
  labels:
    {{- include "grace.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .part }}
spec:
  replicas: {{ .replicas | default 1 }}
  {{- if eq .part "daemon" }}
  # Two daemons at once would launch everything twice.
  strategy: {type: Recreate}
  {{- end }}
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ $root.Release.Name }}
      app.kubernetes.io/component: {{ .part }}
  template:
    metadata:
      labels:
        {{- include "grace.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .part }}
      annotations:
        # A changed configuration starts the pods anew.
        checksum/config: {{ include (print $root.Template.BasePath "/config.yaml") $root | sha256sum }}
    spec:
      serviceAccountName: {{ $root.Release.Name }}
      automountServiceAccountToken: {{ has .part (list "webserver" "daemon") }}
      securityContext:
        {{- include "grace.podSecurity" $root | nindent 8 }}
      containers:
        - name: {{ .part }}
          image: {{ include "grace.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: {{ toJson .command }}
          envFrom:
            - configMapRef: {name: {{ $root.Release.Name }}-env}
            - secretRef: {name: {{ $root.Values.secret }}}
          {{- if .port }}
          ports:
            - {name: main, containerPort: {{ .port }}}
          readinessProbe:
            {{- toYaml .probe | nindent 12 }}
            periodSeconds: 10
          livenessProbe:
            {{- toYaml .probe | nindent 12 }}
            initialDelaySeconds: 30
            periodSeconds: 30
            failureThreshold: 5
          {{- end }}
          resources:
            {{- toYaml (get $root.Values.resources .part) | nindent 12 }}
          securityContext:
            {{- include "grace.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            {{- include "grace.mounts" $root | nindent 12 }}
      volumes:
        {{- include "grace.volumes" $root | nindent 8 }}
{{- end -}}

{{- define "grace.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "grace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "grace.mounts" -}}
- {name: home, mountPath: /opt/dagster/home}
- {name: instance, mountPath: /opt/dagster/home/dagster.yaml, subPath: dagster.yaml}
- {name: instance, mountPath: /opt/dagster/home/workspace.yaml, subPath: workspace.yaml}
- {name: scratch, mountPath: /tmp}
- {name: state, mountPath: /state}
{{- end -}}

{{- define "grace.volumes" -}}
- {name: home, emptyDir: {}}
- {name: scratch, emptyDir: {}}
- {name: state, emptyDir: {}}
- name: instance
  configMap: {name: {{ .Release.Name }}-instance}
{{- end -}}
