/** A URL with an ellipsis in place of its password, and with another user name where one is given. */
export function maskedUrl(url: string, username?: string): string {
  const { protocol, username: given, password, host, pathname, searchParams } = new URL(url)
  // PostgreSQL also takes a password among the parameters.
  if (searchParams.has('password')) searchParams.set('password', 'x')
  const query = searchParams.size === 0 ? '' : `?${searchParams.toString().replace('password=x', 'password=…')}`
  const login = `${username ?? given}${password === '' ? '' : ':…'}`
  return `${protocol}//${login === '' ? '' : `${login}@`}${host}${pathname}${query}`
}
