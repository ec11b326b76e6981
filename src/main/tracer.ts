import { IncomingMessage } from 'node:http'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import type { TextMapPropagator } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { NodeSDK } from '@opentelemetry/sdk-node'
import { ConsoleSpanExporter, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace'
import { patternOf } from '../http/request-counts.ts'
import { within } from './time-limit.ts'

/** A collector that does not answer holds up a stop no longer (ms). */
const STOP_LIMIT_MS = 3000

/**
 * Traces of requests, statements, commands of Redis, and requests to apps, as the `OTEL_*` variables say. Spans have no URL but
 * the pattern of it, no statement, no header and no text of an error, so no secret leaves with them.
 * @returns sends what is left, and stops
 */
export async function startTracer(env: NodeJS.ProcessEnv): Promise<() => Promise<void>> {
  const sdk = new NodeSDK({
    serviceName: env['OTEL_SERVICE_NAME'] ?? 'gatehouse',
    traceExporter: withoutSecrets(await openExporter(env)),
    // Metrics are at /metrics, and logs on standard output.
    metricReaders: [],
    logRecordProcessors: [],
    // Apps get no trace context, unless the operator names how it travels.
    ...(env['OTEL_PROPAGATORS'] === undefined ? { textMapPropagator: receiveOnly() } : {}),
    instrumentations: [
      new HttpInstrumentation({
        ignoreIncomingRequestHook: ({ url = '' }) => /^\/(healthz|readyz|metrics)(\?|$)/.test(url),
        applyCustomAttributesOnSpan(span, request) {
          if (!(request instanceof IncomingMessage)) return
          const route = patternOf(request)
          span.setAttribute('http.route', route)
          span.updateName(`${request.method} ${route}`)
        },
      }),
      new PgInstrumentation({ requireParentSpan: true }),
      new IORedisInstrumentation({ requireParentSpan: true }),
      new UndiciInstrumentation({ requireParentforSpans: true }),
    ],
  })
  sdk.start()
  // They are patched as they are required, and what is imported later is the same.
  const require = createRequire(import.meta.url)
  for (const name of ['node:http', 'node:https', 'pg', 'ioredis']) require(name)
  syncBuiltinESMExports()
  return async () => within(STOP_LIMIT_MS, sdk.shutdown()).catch(() => {})
}

async function openExporter(env: NodeJS.ProcessEnv): Promise<SpanExporter> {
  if (env['OTEL_TRACES_EXPORTER'] === 'console') return new ConsoleSpanExporter()
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ?? env['OTEL_EXPORTER_OTLP_PROTOCOL']
  switch (protocol) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter()
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter()
    default:
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter()
  }
}

/** What spans may say. */
const ATTRIBUTES = new Set([
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'url.scheme',
  'network.protocol.version',
  'server.address',
  'server.port',
  'db.system.name',
  'db.system',
  'db.operation.name',
  'db.namespace',
  'error.type',
])

/** Instrumentations add more with each version, so what is not known to be harmless is left out. */
function withoutSecrets(exporter: SpanExporter): SpanExporter {
  return {
    export: (spans, done) => exporter.export(spans.map(harmless), done),
    shutdown: async () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}

function harmless(span: ReadableSpan): ReadableSpan {
  const attributes = Object.fromEntries(Object.entries(span.attributes).filter(([name]) => ATTRIBUTES.has(name)))
  const status = { code: span.status.code }
  return Object.create(span, {
    name: { value: nameOf(span), enumerable: true },
    attributes: { value: attributes, enumerable: true },
    events: { value: [], enumerable: true },
    links: { value: [], enumerable: true },
    status: { value: status, enumerable: true },
  }) as ReadableSpan
}

/** The name of a prepared statement is in that of its span, and one of them holds the id of a session. */
function nameOf({ name }: ReadableSpan): string {
  return /^pg[\w.-]*(?::[\w-]+)?/.exec(name)?.[0] ?? name
}

function receiveOnly(): TextMapPropagator {
  const standard = new W3CTraceContextPropagator()
  return {
    inject() {},
    extract: (context, carrier, getter) => standard.extract(context, carrier, getter),
    fields: () => standard.fields(),
  }
}
