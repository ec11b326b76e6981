/** The client of a request: its User-Agent header and its IP address, as the user will read them later. */
export interface ClientInfo {
  /** The User-Agent header. */
  browser: string
  /** The IP address. */
  address: string
  /** Of the request in the log. */
  requestId?: string
  /** The language of the request (BCP 47), for the mails it causes. */
  locale?: string
}
