import assert from 'node:assert/strict'
import type { Tokens } from '../browser/client.ts'

/** The JSON of a refused request. */
export interface Problem {
  status: number
  error: string
  error_description?: string
  error_uri?: string
  reason?: string
  fam?: string
}

/** The parameters of a redirect to an app; empty without a redirect, or with one to a page of the portal. */
export function answerIn(response: Response, redirectUri: string): Record<string, string> {
  const location = response.headers.get('location')
  if (location === null || !location.startsWith(`${redirectUri}?`)) return {}
  return Object.fromEntries(new URL(location).searchParams)
}

export async function jsonIn(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>
}

export async function problemIn(response: Response): Promise<Problem> {
  return { status: response.status, ...((await response.json()) as Omit<Problem, 'status'>) }
}

export async function tokensIn(response: Response): Promise<Tokens> {
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text) as Tokens
}
