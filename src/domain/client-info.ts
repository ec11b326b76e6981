/** Where a request came from, as the person will read it later. */
export interface ClientInfo {
  /** The User-Agent header. */
  browser: string
  address: string
  /** Of the request in the log. */
  requestId?: string
}
