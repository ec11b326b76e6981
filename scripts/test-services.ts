import { publishAddresses } from '../src/testing/services/addresses.ts'
import { endWithParent } from '../src/testing/services/shutdown.ts'
import { runTool } from './tool.ts'
import { startServices } from './services.ts'

// `npm run test:services`: keeps the servers of the tests running, so that an editor, or `node --test FILE`, can run one test
// file.
if (process.env['npm_lifecycle_event'] !== undefined) endWithParent()
await runTool('node', ['scripts/prisma-client.ts'])
const { environment } = await startServices()
await publishAddresses(environment)
console.log('\nReady: run any test with "node --test FILE". Ctrl-C stops everything.')
// Servers that existed before would not keep this process running.
setInterval(() => {}, 2 ** 30)
