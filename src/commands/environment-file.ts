import { ConfigError } from '../config.ts'

/** Adds the settings of `.env` in the working directory. Environment variables win. */
export function loadEnvironmentFile(): void {
  try {
    process.loadEnvFile()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT')
      throw new ConfigError(`Gatehouse cannot start: .env cannot be read (${code ?? String(error)}).`)
  }
}
