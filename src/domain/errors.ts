// What the stores say of themselves, for the rooms that answer: those do not know the stores.
export { isUnavailable } from '../storage/postgres.ts'
