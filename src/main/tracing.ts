/** Sends what is left, and stops; does nothing while traces are off. */
export let stopTracing = async (): Promise<void> => {}

/** The commands that answer requests or notify apps. */
const TRACED = ['serve', 'worker']

/** Whether the standard variables of OpenTelemetry ask for traces. */
export function wantsTraces(env: NodeJS.ProcessEnv, command: string | undefined): boolean {
  if (!TRACED.includes(command ?? '') || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false
  const exporter = env['OTEL_TRACES_EXPORTER']
  if (exporter !== undefined && exporter !== '') return exporter !== 'none'
  // An empty variable counts as one that is not set (OpenTelemetry, "Environment Variable Specification").
  return Boolean(env['OTEL_EXPORTER_OTLP_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
}

/** Must run before anything that is to be traced is loaded. Off, it costs nothing: no module of the SDK is loaded. */
export async function startTracing(): Promise<void> {
  const { startTracer } = await import('./tracer.ts')
  stopTracing = await startTracer(process.env)
}
