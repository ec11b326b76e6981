import { expect, type CDPSession, type Page } from '@playwright/test'

type Abilities = Record<'hasResidentKey' | 'hasUserVerification' | 'isUserVerified', boolean>

/** A virtual authenticator in Chromium (WebAuthn) that creates passkeys and answers with them, like a laptop's. */
export class Laptop {
  readonly #cdp: CDPSession
  readonly #authenticatorId: string
  readonly #signals: string[] = []

  private constructor(cdp: CDPSession, authenticatorId: string) {
    this.#cdp = cdp
    this.#authenticatorId = authenticatorId
    cdp.on('WebAuthn.credentialDeleted', () => this.#signals.push('deleted'))
    cdp.on('WebAuthn.credentialUpdated', ({ credential }) => this.#signals.push(`updated ${credential.userName}`))
  }

  /** @param key for a security key without discoverable credentials */
  static async open(page: Page, key: { protocol?: 'ctap2' | 'u2f'; transport?: 'usb' } & Partial<Abilities> = {}) {
    const cdp = await page.context().newCDPSession(page)
    await cdp.send('WebAuthn.enable', { enableUI: false })
    const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
        ...key,
      },
    })
    return new Laptop(cdp, authenticatorId)
  }

  /** What password managers do after a signal of the page: the names of events, and of the users of their passkeys. */
  signals(): string[] {
    return this.#signals
  }

  /** User presence: whether the user touches it when asked; without, a question stays open. */
  async touch(enabled: boolean): Promise<void> {
    await this.#cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId: this.#authenticatorId, enabled })
  }

  /**
   * Opens the sign-in page and touches the device as it asks, which signs in without a click. The page before is left first, for one
   * that asks nothing: it may ask, too. And this one may be left for the next before it has loaded.
   */
  async signInByTouch(page: Page): Promise<void> {
    await page.goto('/healthz')
    await this.touch(true)
    await page.goto('/login', { waitUntil: 'commit' })
    await expect(page).toHaveURL(/\/dashboard$/)
  }

  /** User verification: whether it recognises the user. */
  async recognise(isUserVerified: boolean): Promise<void> {
    await this.#cdp.send('WebAuthn.setUserVerified', { authenticatorId: this.#authenticatorId, isUserVerified })
  }
}
