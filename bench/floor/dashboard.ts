import { addSeconds } from '../../src/domain/time.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { countEndedFamilies, type FamilyRow, listFamilies } from '../../src/storage/families.ts'
import { answer, type Floor, redirect } from './request.ts'
import { signedInOf } from './session.ts'

const ENDED_SHOWN = 5

/** The same rows, put into a bare table: no view, no words for times and browsers. */
export async function showDashboard(floor: Floor, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { storage, clock, lifetimes } = floor.services
  const signedIn = await signedInOf(floor, req)
  if (signedIn === null) return redirect(res, '/login')
  const now = clock()
  const seenSince = addSeconds(now, -lifetimes.identitySessionIdle)
  const families = await listFamilies(storage, signedIn.identityId, { now, seenSince }, ENDED_SHOWN)
  const ended = await countEndedFamilies(storage, signedIn.identityId, now)
  const html = `<!doctype html><title>Your apps</title><p>${families.length} living, ${ended.size} apps with ended ones</p><table>${families.map(rowOf).join('')}</table>`
  answer(res, 200, html, 'text/html; charset=utf-8')
}

function rowOf({ id, appName, browser, address, createdAt, lastUsedAt, generation }: FamilyRow): string {
  return `<tr><td>${escape(appName)}<td>${escape(browser)}<td>${escape(address)}<td>${createdAt.toISOString()}<td>${lastUsedAt.toISOString()}<td>${generation}<td><form method="post" action="/families/${id}/revocation"><button>End</button></form></tr>`
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
