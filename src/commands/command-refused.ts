/** A command that cannot be carried out; its message is for the operator. */
export class CommandRefused extends Error {}
