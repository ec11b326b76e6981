/** A server that the tests may use. */
export interface Service {
  /** With the credentials of an administrator. */
  url: string
  /** What it is and where it came from, in words. */
  origin: string
  /** Leaves nothing behind; does nothing to a server that was there before us. */
  stop: () => Promise<void>
}
