import type { Adapter } from 'oidc-provider'

/** What an adapter here must answer; the library asks for no more of any model that we use. */
export type AdapterMethods = Pick<Adapter, 'find'> & Partial<Omit<Adapter, 'find'>>
