import { randomBytes } from 'node:crypto'
import { FIREFOX } from '../../src/testing/browser/browser.ts'
import type { VirtualClient } from '../load.ts'
import { formRequest } from '../requests.ts'
import type { Subject } from '../subjects/subject.ts'
import { guest } from './running-source.ts'

/** So many users take turns, each in a new browser at another IP address. */
const GUESTS = 1000

/** Browsers in which users of the source sign in with the right password. */
export function guestBrowsers({ host, origin }: Subject, password: string, count: number): VirtualClient[] {
  let turn = 0
  const next = () =>
    formRequest(host, '/login', `${new URLSearchParams({ login: guest(turn++ % GUESTS), password })}`, {
      'User-Agent': FIREFOX,
      Origin: origin,
      'Sec-Fetch-Site': 'same-origin',
      'X-Forwarded-For': `10.${[...randomBytes(3)].join('.')}`,
    })
  return Array.from({ length: count }, () => ({
    next,
    accept: ({ status, head }) => status === 303 && /\r\nset-cookie: *identity=/i.test(head),
  }))
}
