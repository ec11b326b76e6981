import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { parse } from 'yaml'
import { sourceOpenApi } from './openapi.ts'
import { OPERATIONS } from './protocol.ts'

test('the document of the protocol is valid OpenAPI 3.1, as it is kept, and has every operation', async () => {
  const file = join(import.meta.dirname, '../../../docs/identity-source.openapi.yaml')
  const document = parse(readFileSync(file, 'utf8')) as { openapi: string; paths: Record<string, object> }
  assert.deepEqual(document, JSON.parse(JSON.stringify(sourceOpenApi())))
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(document))
  assert.ok(valid, JSON.stringify(errors, null, 1))
  assert.doesNotThrow(() => validator.resolveRefs())
  assert.deepEqual(
    Object.keys(document.paths),
    Object.values(OPERATIONS).map(({ path }) => `/${path}`),
  )
})
