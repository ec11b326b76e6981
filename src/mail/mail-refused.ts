/** A mail that will not arrive however often it is tried. The message says why, and names no person. */
export class MailRefused extends Error {}
