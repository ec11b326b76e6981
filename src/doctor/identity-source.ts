import { randomUUID } from 'node:crypto'
import { type Finding, finding } from '../domain/findings.ts'
import { SourceUnavailable } from '../domain/identity-source.ts'
import { createLogger } from '../logger.ts'
import type { Patient } from './patient.ts'

/** Whether a service in which users live answers a signed question as its protocol says; of a directory, see `directory.ts`. */
export async function examineIdentitySource({ config, clock }: Pick<Patient, 'config' | 'clock'>): Promise<Finding[]> {
  const { identitySource } = config
  if (identitySource === null || identitySource.ldap !== null) return []
  const { url, secret } = identitySource
  const { openHttpIdentitySource } = await import('../identity-source/http/http-identity-source.ts')
  const { RequestFailed } = await import('../identity-source/http/transport.ts')
  const source = openHttpIdentitySource({ url, secret, clock, logger: createLogger('silent') })
  try {
    // An id that it cannot have: what matters is that it says so, in a signed answer.
    await source.findById(randomUUID())
    return []
  } catch (error) {
    if (!(error instanceof SourceUnavailable)) throw error
    const { host } = new URL(url)
    const isSilent =
      error.cause instanceof RequestFailed && (error.cause.kind === 'connection' || error.cause.kind === 'late')
    return [
      isSilent
        ? finding(
            'identity_source_unreachable',
            `The identity source ${host} does not answer (${error.message}).`,
            `IDENTITY_SOURCE_URL=${url}`,
          )
        : finding(
            'identity_source_answer',
            `The identity source ${host} does not answer as its protocol says (${error.message}).`,
            `gatehouse identity-source check ${url}`,
          ),
    ]
  } finally {
    await source.close()
  }
}
