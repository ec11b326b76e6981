/** The portal cannot start with its settings; the message is for the operator and holds no value of a secret. */
export class ConfigError extends Error {
  /** What is wrong, one sentence each, which begins with the name of the setting; none where it is something else. */
  readonly faults: readonly string[]

  constructor(message: string, faults: readonly string[] = []) {
    super(message)
    this.faults = faults
  }
}

/** @param faults one sentence each, which begins with the name of the setting */
export function wrongSettings(faults: readonly string[]): ConfigError {
  const subject = faults.length === 1 ? 'one setting is' : 'some settings are'
  const lines = faults.map((fault) => `  ${fault}`).join('\n')
  return new ConfigError(`Gatehouse cannot start: ${subject} wrong.\n${lines}`, faults)
}
