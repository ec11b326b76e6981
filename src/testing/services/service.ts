/** A server for the tests. */
export interface Service {
  /** With the credentials of an administrator. */
  url: string
  /** What it is and where it came from, in words. */
  origin: string
  /** Leaves nothing behind; a server that existed before is not touched. */
  stop: () => Promise<void>
}
