import { setFlagsFromString } from 'node:v8'

/**
 * While a process starts, nearly everything that is loaded survives, so V8 would give the young generation all the room it may
 * have (2 × 16 MB), and keep it when the process is idle. This holds it small.
 * @returns what lets it grow again, as it should under load: a small one would cost a refresh a fifth of its CPU
 */
export function holdYoungGeneration(): () => void {
  setFlagsFromString('--semi-space-growth-factor=1')
  return () => setFlagsFromString('--semi-space-growth-factor=2')
}
