import { lookup } from 'node:dns/promises'

/** The IP addresses of a host name, or the one that it is. @throws Error with a `code` such as ENOTFOUND */
export async function addressesOf(hostname: string): Promise<string[]> {
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  return (await lookup(bare, { all: true })).map(({ address }) => address)
}
