import type { Adapter } from 'oidc-provider'

/** What an adapter here must implement; the library calls no other method of these models. */
export type AdapterMethods = Pick<Adapter, 'find'> & Partial<Omit<Adapter, 'find'>>
