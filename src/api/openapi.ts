import { z } from 'zod'
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
} from 'zod-openapi'
import { ADMIN_SCOPES } from '../administration/admin-api.ts'
import { type AnyOperation, scopesFor } from '../administration/operation.ts'
import { type ProblemCode, PROBLEMS } from '../administration/problems.ts'
import { adminApiOf } from '../domain/apps/apis.ts'
import { isList, showsOneThing } from './acts.ts'
import { hasQuery } from './request-input.ts'

/** The OpenAPI 3.1 document of these operations, made of the schemas that check their input. */
export function openApiOf(operations: AnyOperation[], { publicUrl }: { publicUrl: string }): object {
  const paths: ZodOpenApiPathsObject = {}
  for (const each of operations) paths[each.path] = { ...paths[each.path], [each.method]: describe(each) }
  return createDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Gatehouse administration',
        version: '1',
        description:
          'Everything that operators do with a portal, for their programs. A token of a service (client_credentials) with the scopes of the admin API opens it.',
      },
      servers: [{ url: adminApiOf({ publicUrl }) }],
      externalDocs: { url: `${publicUrl}/docs/errors#admin-api`, description: 'What each code of a problem means.' },
      paths,
      components: {
        securitySchemes: {
          clientCredentials: {
            type: 'oauth2',
            flows: {
              clientCredentials: {
                tokenUrl: `${publicUrl}/oauth/token`,
                scopes: Object.fromEntries(ADMIN_SCOPES.map((scope) => [scope, meaningOf(scope)])),
              },
            },
          },
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

function describe(asked: AnyOperation): ZodOpenApiOperationObject {
  const { name, summary, resource } = asked
  const scopes = scopesFor(asked)
  return {
    operationId: name,
    summary,
    tags: [resource],
    description: `Needs one of the scopes ${scopes.map((scope) => `\`${scope}\``).join(', ')}.`,
    security: scopes.map((scope) => ({ clientCredentials: [scope] })),
    ...inputOf(asked),
    responses: { ...successOf(asked), ...problemsOf(asked) },
  }
}

function inputOf({
  path,
  method,
  input,
}: AnyOperation): Pick<ZodOpenApiOperationObject, 'requestParams' | 'requestBody'> {
  const fields = Object.entries((input as z.ZodObject).shape)
  const pick = (isIn: (name: string) => boolean) =>
    z.strictObject(Object.fromEntries(fields.filter(([name]) => isIn(name))))
  const inPath = (name: string) => path.includes(`{${name}}`)
  const rest = pick((name) => !inPath(name))
  const isInQuery = hasQuery(method)
  const requestParams = {
    path: pick(inPath),
    ...(isInQuery ? { query: rest } : {}),
    header: z.object(headersOf(method)),
  }
  if (isInQuery || Object.keys(rest.shape).length === 0) return { requestParams }
  const required = !rest.safeParse({}).success
  return { requestParams, requestBody: { required, content: { 'application/json': { schema: rest } } } }
}

function headersOf(method: AnyOperation['method']): Record<string, z.ZodType> {
  switch (method) {
    case 'get':
      return {
        'If-None-Match': z.string().optional().describe('The ETag of an earlier answer: 304 when it is the same.'),
      }
    case 'post':
      return {
        'Idempotency-Key': z
          .string()
          .regex(/^[\x21-\x7e]{1,255}$/)
          .optional()
          .describe('A request with the same key and body gets the same answer for a day, and nothing is done twice.'),
        'If-Match': IF_MATCH,
      }
    default:
      return { 'If-Match': IF_MATCH }
  }
}

const IF_MATCH = z.string().optional().describe('The ETag of a GET of the same path: 412 when it has changed since.')

function successOf(asked: AnyOperation): ZodOpenApiOperationObject['responses'] {
  const { output, status, stream } = asked
  if (stream !== undefined) {
    const content = Object.values(stream).map((type) => [type, { schema: { type: 'string' as const } }])
    return { 200: { description: 'Done.', content: Object.fromEntries(content) as Record<string, object> } }
  }
  if (output === null) return { [status ?? 204]: { description: 'Done.' } }
  const headers: ZodOpenApiResponseObject['headers'] = {
    ...(isList(output as z.ZodType)
      ? { Link: { schema: { type: 'string' }, description: 'The next page, as rel="next".' } }
      : {}),
    ...(showsOneThing(asked)
      ? { ETag: { schema: { type: 'string' }, description: 'For If-Match and If-None-Match.' } }
      : {}),
  }
  return {
    [status ?? 200]: {
      description: 'Done.',
      headers,
      content: { 'application/json': { schema: output as z.ZodType } },
    },
    ...(showsOneThing(asked) ? { 304: { description: 'It is as If-None-Match says.' } } : {}),
  }
}

/** The problems that a request can have, by their status. */
function problemsOf({ kind, method }: AnyOperation): ZodOpenApiOperationObject['responses'] {
  const ofWrites: ProblemCode[] = ['conflict', 'last_administrator', 'precondition_failed']
  const ofBodies: ProblemCode[] = ['too_long', 'unsupported_media_type']
  const ofKeys: ProblemCode[] = ['in_progress', 'key_reused']
  const excluded = new Set<ProblemCode>([
    'no_such_path',
    'method_not_allowed',
    'server_error',
    ...(kind === 'read' && method === 'get' ? ofWrites : []),
    ...(hasQuery(method) ? ofBodies : []),
    ...(method === 'post' ? [] : ofKeys),
  ])
  const codes = (Object.keys(PROBLEMS) as ProblemCode[]).filter((code) => !excluded.has(code))
  return Object.fromEntries(
    [...Map.groupBy(codes, (code) => PROBLEMS[code].status)].map(([status, those]) => [status, problemsWith(those)]),
  )
}

/** One response for each set of codes, which operations refer to. */
function problemsWith(codes: ProblemCode[]): ZodOpenApiResponseObject {
  const id = codes.map((code) => code.replaceAll(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase())).join('Or')
  const known = responses.get(id)
  if (known !== undefined) return known
  const response = {
    id,
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join(' '),
    content: { 'application/problem+json': { schema: PROBLEM } },
  }
  responses.set(id, response)
  return response
}

const responses = new Map<string, ZodOpenApiResponseObject>()

const PROBLEM = z
  .object({
    type: z.url().describe('Where the problem is explained.'),
    title: z.string(),
    status: z.number().int(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    detail: z.string().describe('For the developer, not for programs.'),
    errors: z.array(z.object({ field: z.string(), problem: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'What is wrong (RFC 9457).' })

function meaningOf(scope: string): string {
  const [, resource, right] = /^admin(?::(.+))?:(read|write)$/.exec(scope) ?? []
  const act = right === 'read' ? 'Read' : 'Read and change'
  return resource === undefined ? `${act} everything.` : `${act} ${resource.replaceAll('-', ' ')}.`
}
