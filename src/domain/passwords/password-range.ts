import { createHash } from 'node:crypto'

const LIMIT_MS = 1500
const LONGEST_ANSWER = 200_000

/** Says whether a password is among those that a service knows to be stolen. Never rejects. */
export type PasswordRange = (password: string) => Promise<boolean>

/**
 * Asks a service with the API of Have I Been Pwned (k-anonymity). It learns the first five of the forty hex digits of the
 * password's SHA-1, and not which of about a thousand passwords with that prefix was meant. A service that does not answer in
 * time, or not in this format, is reported to `onError`, and the password counts as not stolen.
 */
export function createPasswordRange(url: string, onError: (error: Error) => void): PasswordRange {
  return async (password) => {
    const digest = createHash('sha1').update(password.normalize('NFC')).digest('hex').toUpperCase()
    try {
      const suffixes = await readRange(`${url.replace(/\/$/, '')}/${digest.slice(0, 5)}`)
      return suffixes.has(digest.slice(5))
    } catch (error) {
      onError(new Error('the service that knows stolen passwords gave no answer', { cause: error }))
      return false
    }
  }
}

async function readRange(url: string): Promise<Set<string>> {
  const response = await fetch(url, {
    headers: { 'Add-Padding': 'true', Accept: 'text/plain' },
    redirect: 'error',
    signal: AbortSignal.timeout(LIMIT_MS),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`it answered with status ${response.status}`)
  }
  const lines = (await readText(response)).split(/\r?\n/).map((line) => line.split(':'))
  // What is there only to make every answer equally long was seen no times.
  return new Set(lines.filter(([, count]) => Number(count) > 0).map(([suffix = '']) => suffix.toUpperCase()))
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > LONGEST_ANSWER) throw new Error(`its answer is longer than ${LONGEST_ANSWER} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
