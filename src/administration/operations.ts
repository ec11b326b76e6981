import { GROUP_OPERATIONS } from './groups.ts'

/** Every operation, by its name. */
export const OPERATIONS = {
  ...GROUP_OPERATIONS,
}
