import { createBackChannelClient, type Download } from '../backchannel/http-client.ts'
import type { Config } from '../config.ts'

/** Fetches a file that an operator names, of at most `limit` bytes, behind the SSRF guard of back-channel requests. */
export async function downloadFile(config: Config, uri: string, limit: number): Promise<Download> {
  const client = createBackChannelClient(config)
  try {
    return await client.get(uri, limit)
  } finally {
    client.close()
  }
}
