import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openScimClient, type ScimClient } from '../../testing/portal/scim-client.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'
import { run } from '../../testing/services/command.ts'
import { createPython, type Python } from '../../testing/services/python.ts'

// scim2-tester checks a server against RFC 7643 and RFC 7644, with requests and a reading of the schemas that are not ours. A machine
// without Python skips it, and says why.

const REQUIREMENTS = ['scim2-tester==0.5.2', 'scim2-client[httpx2]==0.13.2', 'scim2-models==0.12.3']

const TESTER = `
import json, sys, types, uuid
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server, filling

# Every text is a UUID there. Here a user has an e-mail address, and a group no UUID as its name.
class Text(str):
    def __new__(cls): return str.__new__(cls, 'x' + uuid.uuid4().hex)
    def __str__(self): return self[:] + '@tester.example'
    def __format__(self, _): return self[:]
filling.uuid = types.SimpleNamespace(uuid4=Text)

url, token = sys.argv[1:]
client = SyncSCIMClient(Client(base_url=url + '/scim/v2', headers={'Authorization': 'Bearer ' + token}, timeout=60))
results = check_server(client)
print(json.dumps([{'status': r.status.name, 'title': r.title, 'reason': r.reason} for r in results]))
`

let server: TestServer
let scim: ScimClient
let python: Python | Error

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  scim = await openScimClient(server, 'tester')
  python = await createPython(REQUIREMENTS).catch((error: Error) => error)
})
after(async () => {
  if (!(python instanceof Error)) await python.remove()
  await server.close()
})

test('scim2-tester finds nothing that is against the RFCs', async (context) => {
  if (python instanceof Error) return context.skip(python.message)
  const output = await run(python.program, ['-W', 'ignore', '-c', TESTER, server.url, scim.admin.token], {
    limit: 120_000,
  })
  const results = JSON.parse(output) as { status: string; title: string; reason: string }[]
  const faults = results.filter(({ status }) => !['SUCCESS', 'COMPLIANT', 'ACCEPTABLE', 'SKIPPED'].includes(status))
  // An account is active or not, so there is always a value (RFC 7644 §3.5.2.2 lets a server give a default one).
  assert.deepEqual(
    faults.map(({ reason }) => reason),
    ["PATCH modify() did not remove attribute 'active'"],
  )
  assert.ok(results.filter(({ status }) => status !== 'SKIPPED').length > 20, output)
})
