#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// What follows is compiled once and remembered, which is why it is not imported the usual way.
enableCompileCache()
const { startTracing, wantsTraces } = await import('./main/tracing.ts')
if (wantsTraces(process.env, process.argv[2])) await startTracing()
const { preparePrismaClient } = await import('./storage/prisma-client.ts')
if (preparePrismaClient()) {
  const { runCommandLine } = await import('./commands/command-line.ts')
  process.exitCode = await runCommandLine(process.argv)
} else process.exitCode = 1
