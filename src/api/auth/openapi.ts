import { z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi'
import { CODES, type SimpleCode } from './codes.ts'
import { COMMON_CODES, type Route, ROUTES } from './routes.ts'

/** The OpenAPI 3.1 document of this API, made of the schemas that check its input. */
export function simpleOpenApi(publicUrl: string, path: string): object {
  const paths: ZodOpenApiPathsObject = {
    ...Object.fromEntries(Object.entries(ROUTES).map(([each, route]) => [each, { post: describe(route) }])),
    '/public-key': { get: PUBLIC_KEY },
  }
  return createDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Gatehouse for apps with forms of their own',
        version: '1',
        description: 'A migration aid: the OAuth endpoints of the portal in the shape of a small auth service.',
      },
      servers: [{ url: `${publicUrl}${path}` }],
      externalDocs: { url: `${publicUrl}/docs/errors#simple-api`, description: 'What each error means.' },
      paths,
      components: {
        securitySchemes: {
          basic: { type: 'http', scheme: 'basic', description: 'The client id and the secret of the app.' },
        },
      },
    },
    // Fields are added to answers in later versions; a client must not refuse them.
    {
      override({ jsonSchema, io }) {
        if (io === 'output') delete jsonSchema.additionalProperties
      },
    },
  )
}

function describe({ name, summary, input, output, status, codes }: Route): ZodOpenApiOperationObject {
  return {
    operationId: name,
    summary,
    // A client without Basic names itself in the body.
    security: [{ basic: [] }, {}],
    requestParams: {
      header: z.object({ DPoP: z.string().optional().describe('A proof for this URL, of an app with DPoP.') }),
    },
    requestBody: { required: true, content: { 'application/json': { schema: input } } },
    responses: {
      [status]: { description: 'Done.', content: { 'application/json': { schema: output } } },
      ...refusals([...new Set([...codes, ...COMMON_CODES])]),
    },
  }
}

const PUBLIC_KEY: ZodOpenApiOperationObject = {
  operationId: 'publicKey',
  summary: 'The keys that verify application tokens.',
  security: [],
  responses: {
    200: {
      description: 'The key that signs now comes first.',
      content: {
        'application/json': {
          schema: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }).meta({ id: 'KeySet' }),
        },
        'application/x-pem-file': { schema: { type: 'string' as const } },
      },
    },
    ...refusals(['misdirected_request', 'server_error', 'unavailable']),
  },
}

function refusals(codes: SimpleCode[]): ZodOpenApiOperationObject['responses'] {
  const byStatus = Map.groupBy(codes, (code) => CODES[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, those]) => [
      status,
      {
        description: those.map((code) => `\`${code}\`: ${CODES[code].meaning}`).join(' '),
        content: { 'application/json': { schema: refusal(those) } },
      },
    ]),
  )
}

function refusal(codes: SimpleCode[]): z.ZodType {
  return z.looseObject({
    error: z.enum(codes),
    error_description: z.string().describe('For the developer, not for programs.'),
    error_uri: z.url(),
    retry_after: z.number().int().optional().describe('Seconds.'),
    auth_session: z.string().optional(),
    expires_in: z.number().int().optional(),
    next: z.array(z.string()).optional(),
    fields: z.record(z.string(), z.string()).optional(),
  })
}
