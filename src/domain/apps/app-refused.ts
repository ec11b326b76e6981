/** What an operator asked for cannot be; the message says why, one fault a line. */
export class AppRefused extends Error {}
