// Errors of the stores, for `http/` and `oidc/`, which do not import `storage/`.
export { isUnavailable } from '../storage/postgres.ts'
