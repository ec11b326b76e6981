import type { Config } from '../config.ts'
import { settleAdminApi } from '../administration/admin-api.ts'
import { createPasswordJudge } from '../domain/passwords/password-judge.ts'
import { createPasswordHasher, hashingCores } from '../domain/passwords/passwords.ts'
import { FairQueue } from '../domain/fair-queue.ts'
import { openGeoIp } from '../domain/geoip.ts'
import type { Services } from '../domain/services.ts'
import type { Upstream } from '../domain/upstream.ts'
import { deriveAuditKeys } from '../domain/keys/audit-keys.ts'
import { deriveSecrets } from '../domain/keys/secrets.ts'
import { everyProcessHas, openSecrets } from '../domain/keys/root-secrets.ts'
import { openLastingSecret } from '../domain/keys/lasting-secrets.ts'
import { KeyRing } from '../domain/keys/signing-keys.ts'
import { Metrics } from '../domain/metrics.ts'
import { writeCounts } from '../domain/statistics.ts'
import { Tally } from '../domain/tally.ts'
import { openIdentitySource } from '../identity-source/identity-source.ts'
import type { Logger } from '../logger.ts'
import { openStorage } from '../storage/storage.ts'

/**
 * Opens the rules with their stores. Commands and the worker need only this: they load neither transport. `queryTimeoutMs` is
 * the query timeout (ms).
 */
export async function openServices(
  config: Config,
  logger: Logger,
  clock: () => Date = () => new Date(),
  queryTimeoutMs?: number,
): Promise<Services> {
  const geoip = await openGeoIp(config.policy.geoipDatabase)
  const metrics = new Metrics()
  const storage = await openStorage({
    ...config,
    logger,
    clock,
    observer: {
      answered: (store, outcome, seconds) => metrics.storeSeconds.observe([store, outcome], seconds),
      waited: (seconds) => metrics.poolWait.observe([], seconds),
    },
    ...(queryTimeoutMs === undefined ? {} : { queryTimeoutMs }),
  })
  try {
    const secrets = await openSecrets(storage, deriveSecrets(config.secrets), clock())
    // A command with a new secret, too early, must not make stored keys unreadable for the processes that run.
    const mayRewrap = await everyProcessHas(storage, secrets[0], clock())
    const keys = await KeyRing.open(storage, secrets, clock, mayRewrap)
    const subjectSalt = await openLastingSecret(storage, secrets, 'subject-salt', mayRewrap)
    const tokenKeyRoot = await openLastingSecret(storage, secrets, 'token-keys', mayRewrap)
    const auditKeys = deriveAuditKeys(await openLastingSecret(storage, secrets, 'audit-log', mayRewrap))
    const hasher = createPasswordHasher(
      {
        atOnce: hashingCores(config.workers),
        clock,
        observer: {
          waited: (seconds) => metrics.hashingWait.observe([], seconds),
          refused: () => metrics.hashingRefused.add([]),
        },
      },
      config.passwordCost,
      (error) => logger.warn({ error }, 'a password cannot be checked, so no sign-in with it succeeds'),
    )
    metrics.watch(() => ({ hashing: hasher.load(), pool: poolLoad(storage.pool) }))
    const { lifetimes, policy, brand, publicUrl } = config
    const onError = (error: Error) => logger.warn({ error }, 'a password was judged without all that could be known')
    const passwords = createPasswordJudge({ policy, publicUrl, organisation: brand.name, onError, limits: { clock } })
    const services: Services = {
      storage,
      logger,
      secrets,
      keys,
      subjectSalt,
      tokenKeyRoot,
      auditKeys,
      hasher,
      passwords,
      geoip,
      identitySource: await openIdentitySource(config.identitySource, { logger, metrics, clock }),
      // As many at once as its client sends (the bulkhead); the others wait here, where sources of requests take turns.
      sourceTurns: new FairQueue({ atOnce: 32, clock }),
      lifetimes,
      policy,
      brand,
      publicUrl,
      tally: new Tally(clock, (kind, clientId, count) => metrics.countTallied(kind, clientId, count)),
      metrics,
      clock,
      operator: null,
      // These are loaded when they are first needed, because most commands need neither.
      examine: async (kind) =>
        (await import('../doctor/checkup.ts')).examine(
          { config, env: process.env, secrets, storage, isServing: true, clock },
          kind,
        ),
      upstream: laterUpstream(clock),
      sendTest: async (app, kind) => (await import('../backchannel/tests.ts')).sendTest(services, config, app, kind),
    }
    await settleAdminApi(services)
    return services
  } catch (error) {
    await storage.close()
    throw error
  }
}

/**
 * Stops what `openServices` started: the processes that judge passwords, the connections to the identity source, then the connections to the stores. What this process
 * has counted is written before that.
 */
export async function closeServices({ passwords, identitySource, storage, tally, logger }: Services): Promise<void> {
  await passwords.close()
  await identitySource?.close()
  await writeCounts({ tally, storage }).catch((error: unknown) =>
    logger.warn({ error }, 'the last counts were not written'),
  )
  await storage.close()
}

function poolLoad({ totalCount, idleCount, waitingCount }: Services['storage']['pool']) {
  return { busy: totalCount - idleCount, idle: idleCount, waiting: waitingCount }
}

/** Loaded with the first sign-in at another provider: few processes need it. */
function laterUpstream(clock: () => Date): Upstream {
  let opened: Promise<Upstream> | null = null
  const open = async () =>
    (opened ??= import('../upstream/providers.ts').then(({ openUpstream }) => openUpstream(clock)))
  return {
    begin: async (...asked) => (await open()).begin(...asked),
    finish: async (...asked) => (await open()).finish(...asked),
    verifyLogout: async (...asked) => (await open()).verifyLogout(...asked),
  }
}
