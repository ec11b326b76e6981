// Changes users from the command line, and tells the portal at once. Passwords come from standard input.
import { text } from 'node:stream/consumers'
import { settings } from './settings.ts'
import { signRequest } from './signatures.ts'
import { create, findByLogin, remove, setPassword, update, type User } from './users.ts'

const USAGE = `node user.ts add <user name> <e-mail> < password
node user.ts password <login> < password
node user.ts disable|enable|expire|remove <login>
node user.ts name <login> <full name>
node user.ts roles <login> <role>…`

const [command, login = '', ...rest] = process.argv.slice(2)

if (command === 'add' && rest[0]?.includes('@') === true) {
  const user = await create(login, rest[0], await password())
  console.log(user?.id ?? 'the user name or the address is taken')
  process.exitCode = user === undefined ? 1 : 0
} else {
  const user = findByLogin(login)
  const act = user === undefined ? undefined : acts(user)[command ?? '']
  if (act === undefined || user === undefined) {
    console.error(user === undefined && command !== undefined ? `there is no user ${login}` : USAGE)
    process.exitCode = 1
  } else await tell(await act(), user.id)
}

/** Each changes the user, and returns what the portal is told. */
function acts(user: User): Record<string, () => string | Promise<string>> {
  return {
    disable: () => (update(user.id, 'status', 'disabled'), 'disabled'),
    enable: () => (update(user.id, 'status', 'active'), 'enabled'),
    name: () => (update(user.id, 'name', rest.join(' ')), 'changed'),
    roles: () => (update(user.id, 'roles', rest.join(' ')), 'changed'),
    expire: () => (update(user.id, 'password_expired', 1), 'changed'),
    remove: () => (remove(user.id), 'deleted'),
    password: async () => (await setPassword(user.id, await password()), 'password_changed'),
  }
}

/** A portal that is not told asks for the status by itself, within IDENTITY_SOURCE_STATUS_TTL. */
async function tell(type: string, id: string): Promise<void> {
  if (settings.portalUrl === undefined) return console.log(type)
  const url = `${settings.portalUrl}/api/identity-source/events`
  const body = JSON.stringify({ events: [{ type, id }] })
  const headers = await signRequest(url, body, settings.secret)
  const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error' }).catch(String)
  console.log(`${type}: the portal ${typeof response === 'string' ? 'was not reached' : `answered ${response.status}`}`)
}

async function password(): Promise<string> {
  return (await text(process.stdin)).replace(/\r?\n$/, '')
}
