import { setFlagsFromString } from 'node:v8'

/**
 * Keeps V8's young generation small while a process starts. Nearly everything loaded then survives, so V8 would grow it to its
 * maximum (2 × 16 MB), and keep it when idle.
 * @returns lets it grow again under load: a small one would cost a refresh a fifth of its CPU
 */
export function holdYoungGeneration(): () => void {
  setFlagsFromString('--semi-space-growth-factor=1')
  return () => setFlagsFromString('--semi-space-growth-factor=2')
}
