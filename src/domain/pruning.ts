import { deleteEndedFamilies, deleteErasedFamilies } from '../storage/families.ts'
import { deleteEndedIdentitySessions } from '../storage/identity-sessions.ts'
import { deleteExpiredMailLinks } from '../storage/mail-links.ts'
import { deletePastNotices } from '../storage/notifications.ts'
import { deletePastSuspensions } from '../storage/ip-blocks.ts'
import { inBatches } from './batches.ts'
import { LINK_LIVES } from './identities/mail-links.ts'
import type { Portal } from './services.ts'
import { LONGEST_LISTED } from './families/revocations.ts'
import { addSeconds } from './time.ts'

/** Rows in one statement: a few milliseconds of work, so the database is everybody else's again before they notice. */
const SIZE = 250
const PAUSE_MS = 40

/** Forgets families that ended longer ago than they are remembered; the audit keeps what happened. @returns how many. */
export async function pruneFamilies(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const before = addSeconds(portal.clock(), -portal.lifetimes.familyHistory)
  return inBatches((limit) => deleteEndedFamilies(portal.storage.pool, before, limit), { size: SIZE, pauseMs, signal })
}

/** Forgets families of erased accounts that no token can be alive of. @returns how many. */
export async function pruneErasedFamilies(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const before = addSeconds(portal.clock(), -LONGEST_LISTED)
  return inBatches((limit) => deleteErasedFamilies(portal.storage.pool, before, limit), { size: SIZE, pauseMs, signal })
}

/**
 * Forgets signed-in browsers that ended longer ago than families are remembered, and than a mail may still ask about them.
 * @returns how many.
 */
export async function pruneIdentitySessions(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const history = Math.max(portal.lifetimes.familyHistory, LINK_LIVES['disown-sign-in'])
  const before = addSeconds(portal.clock(), -history)
  return inBatches((limit) => deleteEndedIdentitySessions(portal.storage.pool, before, limit), {
    size: SIZE,
    pauseMs,
    signal,
  })
}

/** Forgets what apps were told of such families, unless they are still to be told. @returns how many. */
export async function pruneNotices(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const before = addSeconds(portal.clock(), -portal.lifetimes.familyHistory)
  return inBatches((limit) => deletePastNotices(portal.storage.pool, before, limit), { size: SIZE, pauseMs, signal })
}

/** Forgets protocol records that have expired; every authorization leaves one or more. @returns how many. */
export async function pruneHandshakes(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  return inBatches((limit) => portal.storage.handshakes.prune(limit), { size: SIZE, pauseMs, signal })
}

/** Forgets counters of guesses that have ended. @returns how many. */
export async function pruneCounters(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  return inBatches((limit) => portal.storage.counters.prune(limit), { size: SIZE, pauseMs, signal })
}

/** Forgets suspensions that are over. @returns how many. */
export async function pruneSuspensions(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const now = portal.clock()
  return inBatches((limit) => deletePastSuspensions(portal.storage.pool, now, limit), { size: SIZE, pauseMs, signal })
}

/** Forgets links of mails that have expired unused. @returns how many. */
export async function pruneMailLinks(portal: Portal, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const now = portal.clock()
  return inBatches((limit) => deleteExpiredMailLinks(portal.storage.pool, now, limit), { size: SIZE, pauseMs, signal })
}
