import { DEFAULT_PAGE, LONGEST_PAGE } from './queries.ts'
import type { Values } from './resources.ts'
import { type Attribute, RESOURCE_TYPES, type ResourceType, type Schema, SCHEMAS } from './schemas.ts'

const CORE = 'urn:ietf:params:scim:schemas:core:2.0'

/** What the portal can do of SCIM (RFC 7643 §5, RFC 9865 §4). */
export function serviceProviderConfig(base: string): Values {
  return {
    schemas: [`${CORE}:ServiceProviderConfig`],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: LONGEST_PAGE },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: true },
    pagination: {
      cursor: true,
      index: true,
      defaultPaginationMethod: 'index',
      defaultPageSize: DEFAULT_PAGE,
      maxPageSize: LONGEST_PAGE,
    },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'OAuth 2.0 client credentials',
        description: 'An application token of a service for the admin API, with scopes for identities and groups.',
        specUri: 'https://www.rfc-editor.org/info/rfc6750',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
  }
}

/** The kinds of resources (RFC 7643 §6). */
export function resourceTypes(base: string): Values[] {
  return RESOURCE_TYPES.map((type) => resourceType(type, base))
}

function resourceType({ name, endpoint, description, schema, extensions }: ResourceType, base: string): Values {
  return {
    schemas: [`${CORE}:ResourceType`],
    id: name,
    name,
    endpoint,
    description,
    schema: schema.id,
    ...(extensions.length === 0
      ? {}
      : { schemaExtensions: extensions.map(({ id }) => ({ schema: id, required: false })) }),
    meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${name}` },
  }
}

/** The schemas of users and groups (RFC 7643 §7). */
export function schemas(base: string): Values[] {
  return SCHEMAS.map(({ id, name, description, attributes }: Schema) => ({
    schemas: [`${CORE}:Schema`],
    id,
    name,
    description,
    attributes: attributes.map(describe),
    meta: { resourceType: 'Schema', location: `${base}/Schemas/${id}` },
  }))
}

function describe({ subAttributes, type, caseExact, uniqueness, ...rest }: Attribute): Values {
  return {
    ...rest,
    type,
    ...(type === 'complex'
      ? { subAttributes: subAttributes.map(describe) }
      : { caseExact, ...(type === 'boolean' ? {} : { uniqueness }) }),
  }
}
