/** A permanent failure: retries of this mail would fail, too. The message says why, and contains no personal data. */
export class MailRefused extends Error {}
