"""One valid object of each kind that can be kept, with much in it: what random bodies are most often made of."""

from __future__ import annotations

from typing import Any

import yaml

_POD = """
    {terminationGracePeriodSeconds: 5, nodeSelector: {a: b}, tolerations: [{key: a, operator: Exists}], hostAliases: [{ip: 10.0.0.1, hostnames: [x]}],
     initContainers: [{name: i, image: i}], containers: [{name: c, image: "i:1", command: [sh], env: [{name: A, value: b},
     {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], ports: [{containerPort: 80, name: http}], resources: {limits: {cpu: 1, memory: 1Gi}},
     livenessProbe: {httpGet: {path: /, port: http}}, volumeMounts: [{name: v, mountPath: /v}], securityContext: {runAsUser: 1}}],
     volumes: [{name: v, configMap: {name: a, items: [{key: k, path: p}]}}, {name: e, emptyDir: {sizeLimit: 1Gi}}],
     affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}}},
     topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {a: b}}}]}
"""
_TEMPLATE = "{metadata: {labels: {app: a}}, spec: " + _POD + "}"
_ONCE = _TEMPLATE.replace("{terminationGrace", "{restartPolicy: Never, terminationGrace")
_RULES = "rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, list]}]"
_HOOK = "sideEffects: None, admissionReviewVersions: [v1], failurePolicy: Ignore, timeoutSeconds: 1, rules: [{apiGroups: [x.example.org], apiVersions: [v1], operations: [CREATE], resources: [x]}], clientConfig: {url: 'https://127.0.0.1:1/x'}"

_TEXT = f"""
ConfigMap: {{data: {{a: b, c: d}}, binaryData: {{e: Zm9v}}}}
Secret: {{type: Opaque, data: {{a: Zm9v}}, stringData: {{b: c}}}}
Pod: {{spec: {_POD}}}
PodTemplate: {{template: {_TEMPLATE}}}
ReplicationController: {{spec: {{replicas: 1, selector: {{app: a}}, template: {_TEMPLATE}}}}}
Deployment: {{spec: {{replicas: 2, selector: {{matchLabels: {{app: a}}}}, strategy: {{rollingUpdate: {{maxSurge: 25%}}}}, template: {_TEMPLATE}}}}}
ReplicaSet: {{spec: {{replicas: 2, selector: {{matchLabels: {{app: a}}}}, template: {_TEMPLATE}}}}}
StatefulSet: {{spec: {{serviceName: a, selector: {{matchLabels: {{app: a}}}}, template: {_TEMPLATE}}}}}
DaemonSet: {{spec: {{selector: {{matchLabels: {{app: a}}}}, template: {_TEMPLATE}}}}}
ControllerRevision: {{revision: 1, data: {{a: b}}}}
Job: {{spec: {{completions: 2, parallelism: 1, backoffLimit: 3, template: {_ONCE}}}}}
CronJob: {{spec: {{schedule: "*/5 * * * *", jobTemplate: {{spec: {{template: {_ONCE}}}}}}}}}
Service: {{spec: {{selector: {{app: a}}, ports: [{{port: 80, targetPort: http, name: http}}, {{port: 53, protocol: UDP, name: dns}}]}}}}
Endpoints: {{subsets: [{{addresses: [{{ip: 10.1.2.3}}], ports: [{{port: 80}}]}}]}}
EndpointSlice: {{addressType: IPv4, endpoints: [{{addresses: [10.1.2.3], conditions: {{ready: true}}}}], ports: [{{port: 80, name: http}}]}}
Namespace: {{}}
Node: {{spec: {{taints: [{{key: a, effect: NoSchedule}}]}}, status: {{capacity: {{cpu: 4}}, addresses: [{{type: InternalIP, address: 10.0.0.1}}]}}}}
PersistentVolume: {{spec: {{capacity: {{storage: 1Gi}}, accessModes: [ReadWriteOnce], hostPath: {{path: /x}}, storageClassName: x}}}}
PersistentVolumeClaim: {{spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}, storageClassName: x}}}}
LimitRange: {{spec: {{limits: [{{type: Container, default: {{cpu: 1}}, max: {{cpu: 4}}}}]}}}}
ResourceQuota: {{spec: {{hard: {{configmaps: 1000, pods: 1000, requests.cpu: 1000}}}}}}
ServiceAccount: {{secrets: [{{name: a}}], automountServiceAccountToken: true}}
Event: {{involvedObject: {{kind: Pod, name: a, namespace: fuzz}}, reason: R, message: m, type: Normal, source: {{component: x}}}}
Lease: {{spec: {{holderIdentity: a, leaseDurationSeconds: 15, renewTime: "2026-01-02T03:04:05.000006Z"}}}}
Role: {{{_RULES}}}
ClusterRole: {{{_RULES}, aggregationRule: {{clusterRoleSelectors: [{{matchLabels: {{a: b}}}}]}}}}
RoleBinding: {{roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: a}}, subjects: [{{kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}}]}}
ClusterRoleBinding: {{roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}, subjects: [{{kind: Group, name: g, apiGroup: rbac.authorization.k8s.io}}]}}
Ingress: {{spec: {{rules: [{{host: a.example.org, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}], tls: [{{hosts: [a.example.org], secretName: a}}]}}}}
IngressClass: {{spec: {{controller: example.org/x}}}}
NetworkPolicy: {{spec: {{podSelector: {{matchLabels: {{a: b}}}}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}}}], ports: [{{port: 80, endPort: 90, protocol: TCP}}]}}]}}}}
PodDisruptionBudget: {{spec: {{minAvailable: 1, selector: {{matchLabels: {{app: a}}}}}}}}
HorizontalPodAutoscaler: {{spec: {{minReplicas: 1, maxReplicas: 3, scaleTargetRef: {{kind: Deployment, name: a, apiVersion: apps/v1}}}}}}
PriorityClass: {{value: 100, description: x}}
RuntimeClass: {{handler: x, overhead: {{podFixed: {{cpu: 1m}}}}}}
StorageClass: {{provisioner: example.org/x, parameters: {{a: b}}, reclaimPolicy: Delete, volumeBindingMode: Immediate}}
VolumeAttachment: {{spec: {{attacher: example.org, nodeName: a, source: {{persistentVolumeName: a}}}}}}
VolumeAttributesClass: {{driverName: example.org, parameters: {{a: b}}}}
CSIDriver: {{spec: {{attachRequired: true, volumeLifecycleModes: [Persistent]}}}}
CSINode: {{spec: {{drivers: [{{name: example.org, nodeID: x, topologyKeys: [zone]}}]}}}}
CSIStorageCapacity: {{storageClassName: x, capacity: 1Gi}}
MutatingWebhookConfiguration: {{webhooks: [{{name: a.example.org, {_HOOK}}}]}}
ValidatingWebhookConfiguration: {{webhooks: [{{name: a.example.org, {_HOOK}}}]}}
ValidatingAdmissionPolicy: {{spec: {{failurePolicy: Ignore, matchConstraints: {{resourceRules: [{{apiGroups: [x.example.org], apiVersions: [v1], operations: [CREATE], resources: [x]}}]}}, validations: [{{expression: "object.spec.x > 1"}}]}}}}
ValidatingAdmissionPolicyBinding: {{spec: {{policyName: a, validationActions: [Deny]}}}}
CustomResourceDefinition: {{metadata: {{name: things.x.example.org}}, spec: {{group: x.example.org, scope: Namespaced, names: {{plural: things, kind: Thing}}, versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{a: {{type: string}}}}}}}}}}}}}}]}}}}
APIService: {{metadata: {{name: v1.y.example.org}}, spec: {{group: y.example.org, version: v1, groupPriorityMinimum: 100, versionPriority: 10}}}}
FlowSchema: {{spec: {{matchingPrecedence: 100, priorityLevelConfiguration: {{name: x}}, rules: [{{subjects: [{{kind: User, user: {{name: ann}}}}], nonResourceRules: [{{verbs: [get], nonResourceURLs: [/x]}}]}}]}}}}
PriorityLevelConfiguration: {{spec: {{type: Limited, limited: {{nominalConcurrencyShares: 5, limitResponse: {{type: Reject}}}}}}}}
ServiceCIDR: {{spec: {{cidrs: [10.200.0.0/24]}}}}
IPAddress: {{metadata: {{name: 10.200.0.1}}, spec: {{parentRef: {{resource: services, name: a, namespace: fuzz}}}}}}
DeviceClass: {{spec: {{selectors: [{{cel: {{expression: "device.driver == 'x'"}}}}]}}}}
ResourceClaim: {{spec: {{devices: {{requests: [{{name: r, exactly: {{deviceClassName: a}}}}]}}}}}}
ResourceClaimTemplate: {{spec: {{spec: {{devices: {{requests: [{{name: r, exactly: {{deviceClassName: a}}}}]}}}}}}}}
ResourceSlice: {{spec: {{driver: example.org, nodeName: a, pool: {{name: p, generation: 1, resourceSliceCount: 1}}, devices: [{{name: d}}]}}}}
SelfSubjectAccessReview: {{spec: {{resourceAttributes: {{verb: get, resource: pods, namespace: fuzz}}}}}}
SubjectAccessReview: {{spec: {{user: ann, groups: [g], resourceAttributes: {{verb: get, resource: pods, labelSelector: {{requirements: [{{key: a, operator: Exists}}]}}}}}}}}
LocalSubjectAccessReview: {{spec: {{user: ann, resourceAttributes: {{verb: get, resource: pods, namespace: fuzz}}}}}}
SelfSubjectRulesReview: {{spec: {{namespace: fuzz}}}}
SelfSubjectReview: {{}}
TokenReview: {{spec: {{token: x.y.z}}}}
TokenRequest: {{spec: {{audiences: [a], expirationSeconds: 700}}}}
Scale: {{spec: {{replicas: 3}}}}
Eviction: {{deleteOptions: {{gracePeriodSeconds: 0}}}}
Binding: {{target: {{kind: Node, name: a}}}}
"""
VALID: dict[str, dict[str, Any]] = yaml.safe_load(_TEXT)
"""Kind -> what an object of it has besides a name, or with the only name that it can have."""
