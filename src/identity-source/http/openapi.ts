import { createDocument, type ZodOpenApiPathsObject } from 'zod-openapi'
import { type Operation, OPERATIONS, REQUEST_LIMIT, sourceEvents } from './protocol.ts'

/** The OpenAPI 3.1 document of the protocol, made of the schemas that check what a source answers. */
export function sourceOpenApi(): object {
  const paths: ZodOpenApiPathsObject = {}
  for (const [name, operation] of Object.entries<Operation>(OPERATIONS))
    paths[`/${operation.path}`] = { post: describe(name, operation) }
  return createDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Gatehouse identity source',
        version: '1',
        description:
          'What a service in which users live answers to the portal. Every request and every answer with status 200 is signed (RFC 9421), as `identity-source-protocol.md` describes. The portal believes no other answer, and follows no redirect.',
      },
      servers: [{ url: 'https://users.example.com/identity-source', description: 'IDENTITY_SOURCE_URL' }],
      security: [{ signature: [] }],
      paths,
      webhooks: {
        events: {
          post: {
            operationId: 'events',
            summary: 'What the service tells the portal of its own accord (optional)',
            description:
              'Sent to `{PUBLIC_URL}/api/identity-source/events` of the portal, and signed like its requests. What is not sent, the portal finds out by asking for statuses.',
            requestBody: { required: true, content: { 'application/json': { schema: sourceEvents } } },
            responses: {
              200: { description: 'The portal has acted on all of them.' },
              400: { description: 'The body is not as agreed.' },
              401: { description: 'The signature is not valid, or its nonce was used before.' },
              503: { description: 'The portal could not act on them, or ask the service. Send them again.' },
            },
          },
        },
      },
      components: {
        securitySchemes: {
          signature: {
            type: 'http',
            scheme: 'signature',
            description:
              'HTTP Message Signatures (RFC 9421) with hmac-sha256, in the headers Signature and Signature-Input, over "@method", "@target-uri", "content-type" and "content-digest" (RFC 9530).',
          },
        },
      },
    },
    // Members are added in later versions; neither side refuses them.
    {
      override({ jsonSchema }) {
        delete jsonSchema.additionalProperties
      },
    },
  )
}

function describe(name: string, { summary, description, input, answer }: Operation) {
  return {
    operationId: name,
    summary,
    description,
    requestBody: { required: true, content: { 'application/json': { schema: input } } },
    responses: {
      200: {
        description: 'Signed for this request.',
        headers: {
          'Content-Digest': { schema: { type: 'string' as const }, required: true },
          'Signature-Input': { schema: { type: 'string' as const }, required: true },
          Signature: { schema: { type: 'string' as const }, required: true },
        },
        content: { 'application/json': { schema: answer } },
      },
      400: { description: 'The body is not as agreed.' },
      401: { description: 'The signature is not valid or too old, or its nonce was used before.' },
      413: { description: `The body has more than ${REQUEST_LIMIT / 1024} kB.` },
      415: { description: 'The body is not application/json.' },
      503: { description: 'Come again later; Retry-After says when. The portal waits at most ten seconds.' },
    },
  }
}
