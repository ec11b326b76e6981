const WORDS: Record<string, string> = {
  ENOTFOUND: 'its host name has no address',
  EAI_AGAIN: 'its host name could not be looked up',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection is cut',
  EHOSTUNREACH: 'its address cannot be reached',
  ENETUNREACH: 'its address cannot be reached',
  ETIMEDOUT: 'it takes too long',
  EPROTO: 'it does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
}

/** Why a server could not be asked, in words. */
export function reasonOf(error: unknown): string {
  const { name, code, cause, message, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] }
  if (name === 'TimeoutError' || name === 'AbortError') return 'it takes too long'
  if (code === undefined && cause !== undefined) return reasonOf(cause)
  if (errors?.[0] !== undefined) return reasonOf(errors[0])
  return WORDS[code ?? ''] ?? code ?? message
}
