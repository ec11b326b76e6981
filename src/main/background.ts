import type { Config } from '../config.ts'
import { startAuditStreams } from './audit-streams.ts'
import { startDeliveries } from './deliveries.ts'
import { pruneAuditLog } from '../domain/audit/retention.ts'
import { sealAuditLog } from '../domain/audit/sealing.ts'
import { endWithdrawnFamilies } from '../domain/apps/app-access.ts'
import { clearDeletedApps } from '../domain/apps/app-deletions.ts'
import { endFamiliesOfDisabledApps } from '../domain/apps/apps.ts'
import { checkSourceStatuses } from '../domain/accounts/source-statuses.ts'
import { eraseDeletedAccounts } from '../domain/accounts/erasure.ts'
import { expireFamilies, expireIdentitySessions } from '../domain/endings/expiry.ts'
import type { Services } from '../domain/services.ts'
import {
  pruneCounters,
  pruneErasedFamilies,
  pruneFailedMails,
  pruneFamilies,
  pruneProtocolRecords,
  pruneIdentitySessions,
  pruneInvitations,
  pruneMailLinks,
  pruneNotifications,
  pruneIpBlocks,
} from '../domain/pruning.ts'
import { settleGroups } from '../domain/identities/groups.ts'
import { condenseTallies, countLivingFamilies } from '../domain/statistics.ts'
import { fillSkeletons } from '../domain/identities/user-names.ts'
import type { Logger } from '../logger.ts'
import { repeat } from './repeat.ts'

const PRUNE_EVERY_MS = 60_000
const EXPIRE_EVERY_MS = 5000
const SEAL_EVERY_MS = 15_000

export interface Background {
  /** Starts no new round. Work in progress ends when the stores close. */
  stop(): void
  /** Closes the connections to the mail server and to apps, once the stores are closed. */
  release(): void
}

/**
 * Periodic jobs (expiry and clean-up, erasing deleted accounts) and the delivery of queued mails and back-channel
 * notifications.
 */
export async function startBackground(services: Services, config: Config, logger: Logger): Promise<Background> {
  const release = await startDeliveries(services, config, logger)
  const stopping = new AbortController()
  const rounds = [
    [expireIdentitySessions, EXPIRE_EVERY_MS],
    [expireFamilies, EXPIRE_EVERY_MS],
    [fillSkeletons, EXPIRE_EVERY_MS],
    [rotateSigningKeys, EXPIRE_EVERY_MS],
    [endFamiliesOfDisabledApps, PRUNE_EVERY_MS],
    [endWithdrawnFamilies, PRUNE_EVERY_MS],
    [clearDeletedApps, PRUNE_EVERY_MS],
    [settleGroups, PRUNE_EVERY_MS],
    [pruneProtocolRecords, PRUNE_EVERY_MS],
    [pruneFamilies, PRUNE_EVERY_MS],
    [pruneErasedFamilies, PRUNE_EVERY_MS],
    [pruneIdentitySessions, PRUNE_EVERY_MS],
    [pruneNotifications, PRUNE_EVERY_MS],
    [eraseDeletedAccounts, PRUNE_EVERY_MS],
    [pruneCounters, PRUNE_EVERY_MS],
    [pruneIpBlocks, PRUNE_EVERY_MS],
    [pruneInvitations, PRUNE_EVERY_MS],
    [pruneMailLinks, PRUNE_EVERY_MS],
    [pruneFailedMails, PRUNE_EVERY_MS],
    [countLivingFamilies, PRUNE_EVERY_MS],
    [condenseTallies, PRUNE_EVERY_MS],
    [sealAuditLog, SEAL_EVERY_MS],
    [pruneAuditLog, PRUNE_EVERY_MS],
  ] as const
  const stops = rounds.map(([run, everyMs]) => repeat(async () => run(services, stopping.signal), everyMs, logger))
  if (config.identitySource !== null) {
    const { statusTtl } = config.identitySource
    const check = async () => checkSourceStatuses(services, statusTtl, stopping.signal)
    stops.push(repeat(check, Math.min(EXPIRE_EVERY_MS, statusTtl * 250), logger))
  }
  stops.push(await startAuditStreams(services, config, logger, stopping.signal))
  return {
    stop() {
      stopping.abort()
      for (const stop of stops) stop()
    },
    release,
  }
}

async function rotateSigningKeys({ keys, policy, logger }: Services): Promise<void> {
  const kids = policy.keyRotation === null ? [] : await keys.rotateWhenDue(policy.keyRotation)
  if (kids.length > 0) logger.info({ kids }, 'the next signing keys are published')
}
