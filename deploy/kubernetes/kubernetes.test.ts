import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parser } from '@prometheus-io/lezer-promql'
import { parse, parseAllDocuments } from 'yaml'
import { namesOf, SETTING_NAMES } from '../../src/settings/names.ts'
import { readEnvironment } from '../../src/settings/environment.ts'
import { faultsOfManifest, type Manifest } from '../../src/testing/services/kubernetes.ts'

interface Container {
  name: string
  args: string[]
  env?: { name: string; value: string }[]
  envFrom: { configMapRef: { name: string } }[]
  ports?: { name: string; containerPort: number }[]
  securityContext: unknown
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  volumeMounts: { name: string; mountPath: string }[]
  startupProbe?: Probe
  readinessProbe?: Probe
  livenessProbe?: Probe
}
interface Probe {
  httpGet: { path: string; port: string }
}
interface Pod {
  automountServiceAccountToken: boolean
  enableServiceLinks: boolean
  securityContext: Record<string, unknown>
  terminationGracePeriodSeconds?: number
  containers: [Container]
  volumes: { name: string; secret?: { secretName: string } }[]
}
interface Workload extends Manifest {
  spec: { selector?: Selector; template: { metadata: { labels: Labels }; spec: Pod } }
}
type Labels = Record<string, string>
interface Selector {
  matchLabels: Labels
}

const RESOURCES = (parse(file('kustomization.yaml')) as { resources: string[] }).resources
const manifests = RESOURCES.flatMap((name) => parseAllDocuments(file(name)).map((each) => each.toJS() as Manifest))
const workloads = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'Job') as Workload[]
const settings = find('ConfigMap', 'gatehouse-settings')['data'] as Record<string, string>

test('every manifest is one that Kubernetes describes, without a field that it does not know', async () => {
  for (const manifest of manifests) assert.deepEqual(await faultsOfManifest(manifest), [], manifest.metadata.name)
  const files = globSync('*.yaml', { cwd: import.meta.dirname }).filter((name) => name !== 'kustomization.yaml')
  assert.deepEqual(files.toSorted(), RESOURCES.toSorted())

  const portal = structuredClone(find('Deployment', 'gatehouse-portal')) as Workload
  Object.assign(portal.spec.template.spec.containers[0], { readynessProbe: {}, args: 'serve' })
  assert.deepEqual(await faultsOfManifest(portal), [
    '/spec/template/spec/containers/0/args must be array',
    '/spec/template/spec/containers/0/readynessProbe is unknown',
  ])
})

test('selectors find the pods that they are for', () => {
  const portalLabels = labelsOf('Deployment', 'gatehouse-portal')
  const workerLabels = labelsOf('Deployment', 'gatehouse-worker')
  const isFor = (selector: Labels, labels: Labels) =>
    Object.entries(selector).every(([key, value]) => labels[key] === value)
  for (const { spec, metadata } of workloads) {
    if (spec.selector === undefined) continue
    assert.ok(isFor(spec.selector.matchLabels, spec.template.metadata.labels), metadata.name)
  }
  const service = find('Service', 'gatehouse-portal')['spec'] as { selector: Labels; ports: { targetPort: string }[] }
  assert.ok(isFor(service.selector, portalLabels) && !isFor(service.selector, workerLabels))
  for (const [name, labels] of [
    ['gatehouse-portal', portalLabels],
    ['gatehouse-worker', workerLabels],
  ] as const) {
    const budget = find('PodDisruptionBudget', name)['spec'] as { selector: Selector }
    assert.ok(isFor(budget.selector.matchLabels, labels), name)
  }
  const policy = find('NetworkPolicy', 'gatehouse')['spec'] as { podSelector: Selector }
  for (const { spec } of workloads) assert.ok(isFor(policy.podSelector.matchLabels, spec.template.metadata.labels))

  const [container] = portalOf().containers
  assert.deepEqual(container.ports, [{ name: 'http', containerPort: 3000 }])
  assert.equal(service.ports[0]?.targetPort, 'http')
  const { rules } = find('Ingress', 'gatehouse')['spec'] as {
    rules: { host: string; http: { paths: { backend: { service: unknown } }[] } }[]
  }
  assert.equal(rules[0]?.host, new URL(settings['PUBLIC_URL'] ?? '').host)
  assert.deepEqual(rules[0]?.http.paths[0]?.backend.service, { name: 'gatehouse-portal', port: { name: 'http' } })
})

test('pods get settings that exist and are right, and the secrets that these name', () => {
  const { faults } = readEnvironment(
    Object.fromEntries(Object.entries(settings).filter(([name]) => !name.endsWith('_FILE'))),
  )
  assert.deepEqual(faults, [])
  const names = new Set<string>(SETTING_NAMES.flatMap((name) => [name, ...namesOf(name).ofFile]))
  const secretNames = new Set<string>(SETTING_NAMES.filter((name) => namesOf(name).ofFile.length > 0))
  for (const { metadata, spec } of workloads) {
    const {
      containers: [container],
      volumes,
    } = spec.template.spec
    assert.deepEqual(container.envFrom, [{ configMapRef: { name: 'gatehouse-settings' } }])
    const environment = {
      ...settings,
      ...Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value])),
    }
    assert.deepEqual(
      Object.keys(environment).filter((name) => !names.has(name) || secretNames.has(name)),
      [],
    )
    const folders = container.volumeMounts.map(({ mountPath }) => mountPath)
    for (const [name, path] of Object.entries(environment).filter(([each]) =>
      secretNames.has(each.replace(/_FILE$/, '')),
    ))
      assert.ok(
        folders.some((folder) => path.startsWith(`${folder}/`)),
        `${metadata.name} ${name}`,
      )
    assert.deepEqual(
      container.volumeMounts.map(({ name }) => name),
      volumes.map(({ name }) => name),
    )
    const holdsOwner = volumes.some(({ secret }) => secret?.secretName === 'gatehouse-migration')
    assert.equal(holdsOwner, metadata.name === 'gatehouse-migrate')
  }
  // The instructions make each file that is named here.
  const page = readFileSync(join(import.meta.dirname, '../../docs/deploy.md'), 'utf8')
  for (const path of Object.values(settings).filter((value) => value.startsWith('/run/secrets/')))
    assert.ok(page.includes(path.split('/').at(-1) as string), path)
})

test('every pod is confined, says what it needs, and has time to finish its requests', () => {
  assert.equal(workloads.length, 3)
  for (const { metadata, spec } of workloads) {
    const pod = spec.template.spec
    const [container] = pod.containers
    assert.deepEqual(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 10_001,
      runAsGroup: 10_001,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    assert.deepEqual([pod.automountServiceAccountToken, pod.enableServiceLinks], [false, false])
    const { requests, limits } = container.resources
    assert.ok(requests['cpu'] !== undefined && requests['memory'] !== undefined && limits['memory'] !== undefined)
    assert.equal(container.name, metadata.name.replace('gatehouse-', ''))
    assert.deepEqual(container.args, [container.name === 'portal' ? 'serve' : container.name])
  }
  const {
    containers: [portal],
    terminationGracePeriodSeconds = 0,
  } = portalOf()
  assert.ok(terminationGracePeriodSeconds >= 30)
  assert.equal(portal.startupProbe?.httpGet.path, '/readyz')
  assert.equal(portal.readinessProbe?.httpGet.path, '/readyz')
  // A store that is down must not restart the portals.
  assert.equal(portal.livenessProbe?.httpGet.path, '/healthz')
})

test('the autoscaler follows a metric that the rule for prometheus-adapter makes of one that the portal has', () => {
  const { scaleTargetRef, metrics } = find('HorizontalPodAutoscaler', 'gatehouse-portal')['spec'] as {
    scaleTargetRef: { kind: string; name: string }
    metrics: { pods?: { metric: { name: string } } }[]
  }
  assert.ok(find(scaleTargetRef.kind, scaleTargetRef.name))
  const { rules } = parse(file('../prometheus/adapter-rule.yaml')) as {
    rules: { seriesQuery: string; name: { matches: string; as: string }; metricsQuery: string }[]
  }
  const [rule] = rules
  assert.ok(rule !== undefined)
  assert.deepEqual(
    metrics.flatMap(({ pods }) => pods?.metric.name ?? []),
    [rule.name.as],
  )
  assert.match('gatehouse_refreshes_total', new RegExp(rule.name.matches))
  const query = rule.metricsQuery
    .replace('<<.Series>>', 'gatehouse_refreshes_total')
    .replace('<<.LabelMatchers>>', 'pod="a"')
    .replace('<<.GroupBy>>', 'pod')
  for (const promql of [rule.seriesQuery, query]) assert.ok(isPromql(promql), promql)
  assert.ok(!isPromql('sum(rate(a[2m]) by'))
})

test('Prometheus finds the portals and the workers, and the token in its Secret', () => {
  interface Monitor extends Manifest {
    metadata: { name: string; namespace: string }
    spec: { selector: Selector; endpoints?: Endpoint[]; podMetricsEndpoints?: Endpoint[] }
  }
  interface Endpoint {
    port: string
    path: string
    authorization: { credentials: unknown }
  }
  const monitors = parseAllDocuments(file('../prometheus/monitors.yaml')).map((each) => each.toJS() as Monitor)
  const [ofPortals, ofWorkers] = monitors.map(({ spec }) => spec)
  const service = find('Service', 'gatehouse-portal')
  const { ports } = service['spec'] as { ports: { name: string }[] }
  assert.deepEqual(ofPortals?.selector.matchLabels, service.metadata.labels)
  assert.equal(ofPortals?.endpoints?.[0]?.port, ports[0]?.name)
  assert.deepEqual(ofWorkers?.selector.matchLabels, labelsOf('Deployment', 'gatehouse-worker'))
  const [worker] = (find('Deployment', 'gatehouse-worker') as Workload).spec.template.spec.containers
  assert.deepEqual(worker.ports, [
    { name: ofWorkers?.podMetricsEndpoints?.[0]?.port, containerPort: Number(settings['METRICS_PORT']) },
  ])
  assert.equal(worker.livenessProbe?.httpGet.port, 'metrics')
  const secret = { name: 'gatehouse-secrets', key: 'metrics-token' }
  for (const { metadata, spec } of monitors) {
    const [endpoint] = spec.endpoints ?? spec.podMetricsEndpoints ?? []
    assert.deepEqual([endpoint?.path, endpoint?.authorization.credentials], ['/metrics', secret])
    assert.equal(metadata.namespace, find('Namespace', 'gatehouse').metadata.name)
  }
})

function isPromql(text: string): boolean {
  let isWhole = true
  parser.parse(text).iterate({ enter: ({ type }) => void (isWhole &&= !type.isError) })
  return isWhole
}

function file(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
}

function find(kind: string, name: string): Manifest {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name)
  assert.ok(found !== undefined, `${kind} ${name}`)
  return found
}

function labelsOf(kind: string, name: string): Labels {
  return (find(kind, name) as Workload).spec.template.metadata.labels
}

function portalOf(): Pod {
  return (find('Deployment', 'gatehouse-portal') as Workload).spec.template.spec
}
