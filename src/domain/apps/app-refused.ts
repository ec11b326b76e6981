/** The operator's change of an app is invalid. The message lists the faults, one a line. */
export class AppRefused extends Error {}
