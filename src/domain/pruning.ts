import { deleteEndedFamilies, deleteErasedFamilies } from '../storage/erased-families.ts'
import { deleteEndedIdentitySessions } from '../storage/identity-sessions.ts'
import { deletePastFailedMails } from '../storage/failed-mails.ts'
import { deleteExpiredMailLinks } from '../storage/mail-links.ts'
import { deleteExpiredInvitations } from '../storage/invitations.ts'
import { deletePastNotifications } from '../storage/notifications.ts'
import { deletePastIpBlocks } from '../storage/ip-blocks.ts'
import { inBatches } from './batches.ts'
import { LINK_LIVES } from './identities/mail-links.ts'
import { FAILED_MAILS_KEPT } from './accounts/failed-mails.ts'
import type { Services } from './services.ts'
import { LONGEST_LISTED } from './families/revocations.ts'
import { addSeconds } from './time.ts'

/** Rows in one statement: a few milliseconds of work, so that requests hardly wait for it. */
const SIZE = 250
const PAUSE_MS = 40
/** How long an invitation is listed after it has expired (seconds). */
const EXPIRED_INVITATIONS = 30 * 86_400

/** Forgets families that ended longer ago than they are remembered; the audit keeps what happened. @returns how many. */
export async function pruneFamilies(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const before = addSeconds(services.clock(), -services.lifetimes.familyHistory)
  return inBatches((limit) => deleteEndedFamilies(services.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/** Forgets families of erased accounts once their last token must have expired. @returns how many. */
export async function pruneErasedFamilies(
  services: Services,
  signal?: AbortSignal,
  pauseMs = PAUSE_MS,
): Promise<number> {
  const before = addSeconds(services.clock(), -LONGEST_LISTED)
  return inBatches((limit) => deleteErasedFamilies(services.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/**
 * Forgets identity sessions that ended longer ago than families are remembered, and than a "this wasn't me" link is valid.
 * @returns how many.
 */
export async function pruneIdentitySessions(
  services: Services,
  signal?: AbortSignal,
  pauseMs = PAUSE_MS,
): Promise<number> {
  const history = Math.max(services.lifetimes.familyHistory, LINK_LIVES['disown-sign-in'])
  const before = addSeconds(services.clock(), -history)
  return inBatches((limit) => deleteEndedIdentitySessions(services.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/** Forgets notifications about such families, unless they still wait to be sent. @returns how many. */
export async function pruneNotifications(
  services: Services,
  signal?: AbortSignal,
  pauseMs = PAUSE_MS,
): Promise<number> {
  const before = addSeconds(services.clock(), -services.lifetimes.familyHistory)
  return inBatches((limit) => deletePastNotifications(services.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/** Forgets protocol records that have expired; every authorization leaves one or more. @returns how many. */
export async function pruneProtocolRecords(
  services: Services,
  signal?: AbortSignal,
  pauseMs = PAUSE_MS,
): Promise<number> {
  return inBatches((limit) => services.storage.protocolRecords.prune(limit), { size: SIZE, pauseMs, signal })
}

/** Forgets attempt counters whose time is over. @returns how many. */
export async function pruneCounters(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  return inBatches((limit) => services.storage.counters.prune(limit), { size: SIZE, pauseMs, signal })
}

/** Forgets IP blocks that are over. @returns how many. */
export async function pruneIpBlocks(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const now = services.clock()
  return inBatches((limit) => deletePastIpBlocks(services.storage.pool, now, limit), { size: SIZE, pauseMs, signal })
}

/** Forgets links of mails that have expired unused. @returns how many. */
export async function pruneMailLinks(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const now = services.clock()
  return inBatches((limit) => deleteExpiredMailLinks(services.storage.pool, now, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/** Forgets invitations that expired a month ago: until then an operator can send them once more. @returns how many. */
export async function pruneInvitations(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const before = addSeconds(services.clock(), -EXPIRED_INVITATIONS)
  return inBatches((limit) => deleteExpiredInvitations(services.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/** Forgets mails that were given up too long ago to be sent again. @returns how many. */
export async function pruneFailedMails(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const before = addSeconds(services.clock(), -FAILED_MAILS_KEPT)
  return inBatches((limit) => deletePastFailedMails(services.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}
