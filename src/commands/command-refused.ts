/** A command cannot be carried out; the message is for the operator. */
export class CommandRefused extends Error {}
