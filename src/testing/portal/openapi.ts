/** What tests read of the OpenAPI document of the admin API. */
export interface OpenApi {
  openapi: string
  paths: Record<string, Record<string, Omit<Described, 'method' | 'path'>>>
  components: {
    schemas: Record<string, Schema>
    responses: Record<string, Answer>
    securitySchemes: { clientCredentials: { flows: { clientCredentials: { scopes: Record<string, string> } } } }
  }
}

/** A JSON schema (draft 2020-12), as far as the document uses it. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  propertyNames?: Schema
}

export interface Answer {
  $ref?: string
  content?: Record<string, { schema: Schema }>
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema: Schema
}

export interface Described {
  operationId: string
  method: string
  path: string
  security: { clientCredentials?: string[] }[]
  parameters: Parameter[]
  requestBody?: { required: boolean; content: { 'application/json': { schema: Schema } } }
  responses: Record<string, Answer>
}

/** Every operation of the document. */
export function describedOperations({ paths }: OpenApi): Described[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({ ...described, method, path })),
  )
}
