import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { type AppRow, createApp, type AppSettings } from '../domain/apps/apps.ts'
import { END_CAUSES, type EndCause } from '../domain/endings/end-causes.ts'
import { englishTexts } from '../i18n/texts.ts'
import type { NotificationKind, NotificationRow } from '../domain/endings/notifications.ts'
import type { SigningAlg } from '../domain/keys/signing-keys.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { ada } from '../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { publishedKeys } from '../testing/portal/published-keys.ts'
import { type Receiver, startReceiver } from '../testing/network/receiver.ts'
import { type BackChannelClient, type BackChannelOutcome, createBackChannelClient } from './http-client.ts'
import { requestOf } from './requests.ts'

const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'

let portal: TestPortal
let adaId: string
let channel: BackChannelClient
let receiver: Receiver | undefined
let count = 0

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  channel = createBackChannelClient({ allowedNetworks: ['127.0.0.0/8'] })
})
afterEach(() => receiver?.close())
after(async () => {
  channel.close()
  await portal.close()
})

/** An app that listens at both addresses. */
async function addListener(settings: Partial<AppSettings> = {}): Promise<{ app: AppRow; listener: Receiver }> {
  const clientId = `notes-${count++}`
  const keys = await publishedKeys(portal)
  const alg = (settings.idTokenAlg ?? 'RS256') as SigningAlg
  const listener = await startReceiver({ issuer: portal.publicUrl, clientId, alg, keys, clock: portal.clock })
  receiver = listener
  const uris = { backchannelLogoutUri: listener.uri, eventReceiverUri: listener.eventsUri }
  const { app } = await createApp(portal, clientId, { ...notesApp, ...uris, ...settings })
  return { app, listener }
}

function noticeFor({ clientId }: AppRow, kind: NotificationKind, rest: Partial<NotificationRow> = {}): NotificationRow {
  return {
    id: randomUUID(),
    kind,
    clientId,
    familyId: randomUUID(),
    identityId: adaId,
    sid: 'the-sid-of-the-id-token',
    cause: kind === 'token-claims-change' ? null : 'ended_by_person',
    happenedAt: portal.clock(),
    attempts: 0,
    lastAttemptAt: null,
    problem: null,
    confirmedAt: null,
    givenUpAt: null,
    ...rest,
  }
}

async function tell(app: AppRow, notice: NotificationRow): Promise<BackChannelOutcome> {
  const request = await requestOf(portal, notice, app)
  assert.ok(request)
  return channel.post(request.uri, request, request.accepted)
}

function seconds(date = portal.clock()): number {
  return Math.floor(date.getTime() / 1000)
}

test('a logout token is what the specification says, to the claim', async () => {
  const { app, listener } = await addListener()
  const notice = noticeFor(app, 'logout')
  assert.deepEqual(await tell(app, notice), { kind: 'accepted', status: 200 })
  assert.deepEqual(listener.logouts, [
    {
      iss: portal.publicUrl,
      sub: adaId,
      aud: app.clientId,
      iat: seconds(),
      exp: seconds() + 120,
      jti: notice.id,
      sid: 'the-sid-of-the-id-token',
      fam: notice.familyId,
      events: { [LOGOUT]: {} },
    },
  ])
})

test('a logout token of a family without a session id names the person and the family', async () => {
  const { app, listener } = await addListener()
  const notice = noticeFor(app, 'logout', { sid: null })
  assert.deepEqual(await tell(app, notice), { kind: 'accepted', status: 200 })
  const [claims] = listener.logouts
  assert.deepEqual([claims?.sub, claims?.fam, claims && 'sid' in claims], [adaId, notice.familyId, false])
})

test('every attempt has the same id and a time of its own', async () => {
  const { app, listener } = await addListener()
  const notice = noticeFor(app, 'logout')
  listener.answer = { status: 500 }
  assert.equal((await tell(app, notice)).kind, 'refused')
  portal.clock.advance(24 * 3600)
  listener.answer = 'right'
  assert.deepEqual(await tell(app, notice), { kind: 'accepted', status: 200 })
  const [first, second] = listener.attempts
  assert.equal(second?.fault, null)
  assert.deepEqual([first?.claims.jti, second?.claims.jti], [notice.id, notice.id])
  assert.equal((second?.claims.iat ?? 0) - (first?.claims.iat ?? 0), 24 * 3600)
})

test('an app that asks for ES256 gets everything so', async () => {
  const { app, listener } = await addListener({ idTokenAlg: 'ES256' })
  for (const kind of ['logout', 'session-revoked', 'token-claims-change'] as const) {
    const status = kind === 'logout' ? 200 : 202
    assert.deepEqual(await tell(app, noticeFor(app, kind)), { kind: 'accepted', status })
  }
  const request = await requestOf(portal, noticeFor(app, 'session-revoked'), app)
  assert.deepEqual(decodeProtectedHeader(request?.text ?? ''), {
    alg: 'ES256',
    typ: 'secevent+jwt',
    kid: portal.keys.signer('ES256').kid,
  })
  assert.deepEqual([listener.logouts.length, listener.events.length], [1, 2])
})

test('an ended session is an event with its reason, when it happened and who wanted it', async () => {
  const { app, listener } = await addListener()
  const happenedAt = portal.clock()
  portal.clock.advance(60)
  const notice = noticeFor(app, 'session-revoked', { cause: 'reuse', happenedAt })
  assert.deepEqual(await tell(app, notice), { kind: 'accepted', status: 202 })
  assert.deepEqual(listener.events, [
    {
      iss: portal.publicUrl,
      iat: seconds(),
      jti: notice.id,
      aud: app.clientId,
      sub_id: {
        format: 'complex',
        user: { format: 'iss_sub', iss: portal.publicUrl, sub: adaId },
        session: { format: 'opaque', id: 'the-sid-of-the-id-token' },
      },
      fam: notice.familyId,
      events: {
        [`${CAEP}session-revoked`]: {
          event_timestamp: seconds(happenedAt),
          initiating_entity: 'policy',
          reason_admin: { en: `reuse: ${englishTexts().say(END_CAUSES.reuse.words)}` },
          reason_user: { en: englishTexts().say(END_CAUSES.reuse.words) },
        },
      },
    },
  ])
})

test('an event never means more sessions than the one it is about', async () => {
  const { app, listener } = await addListener()
  const notice = noticeFor(app, 'session-revoked', { sid: null })
  await tell(app, notice)
  assert.equal(listener.events[0]?.sub_id.session?.id, notice.familyId)
})

test('every cause makes an event that a strict receiver takes', async () => {
  const { app, listener } = await addListener()
  for (const cause of Object.keys(END_CAUSES) as EndCause[]) {
    assert.deepEqual(
      await tell(app, noticeFor(app, 'session-revoked', { cause })),
      { kind: 'accepted', status: 202 },
      cause,
    )
  }
  assert.equal(listener.events.length, Object.keys(END_CAUSES).length)
})

test('what has changed is told as it is when it is told', async () => {
  const { app, listener } = await addListener()
  const notice = noticeFor(app, 'token-claims-change')
  await portal.storage.pool.query('UPDATE identities SET roles = $2 WHERE id = $1', [adaId, ['editor']])
  await tell(app, notice)
  await portal.storage.pool.query('UPDATE identities SET roles = $2 WHERE id = $1', [adaId, []])
  await tell(app, notice)
  assert.deepEqual(
    listener.events.map(({ events }) => events[`${CAEP}token-claims-change`]),
    [['editor'], []].map((roles) => ({
      event_timestamp: seconds(notice.happenedAt),
      initiating_entity: 'admin',
      claims: { roles },
    })),
  )
})

test('an app that has no address any more, or a person who is gone, is no request', async () => {
  const { app } = await addListener()
  const deaf = { ...app, backchannelLogoutUri: null, eventReceiverUri: null }
  for (const kind of ['logout', 'session-revoked', 'token-claims-change'] as const) {
    assert.equal(await requestOf(portal, noticeFor(app, kind), deaf), null)
  }
  const gone = noticeFor(app, 'token-claims-change', { identityId: randomUUID() })
  assert.equal(await requestOf(portal, gone, app), null)
})

test('no key but the published one, and nothing of the person but their id and what is said of them', async () => {
  const { app } = await addListener()
  const request = await requestOf(portal, noticeFor(app, 'logout'), app)
  const token = new URLSearchParams(request?.text).get('logout_token') ?? ''
  const { kid } = portal.keys.signer('RS256')
  assert.deepEqual(decodeProtectedHeader(token), { alg: 'RS256', typ: 'logout+jwt', kid })
  // In quotes, because an id may happen to contain the letters of a name.
  assert.doesNotMatch(JSON.stringify(decodeJwt(token)), new RegExp(`"${ada.username}"|${ada.email}|nonce`))
})
