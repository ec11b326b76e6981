/** The portal cannot start with its settings; the message is for the operator and holds no value of a secret. */
export class ConfigError extends Error {}

/** @param faults one sentence each, which begins with the name of the setting */
export function wrongSettings(faults: readonly string[]): ConfigError {
  const subject = faults.length === 1 ? 'one setting is' : 'some settings are'
  return new ConfigError(`Gatehouse cannot start: ${subject} wrong.\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
}
