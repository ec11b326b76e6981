import { after } from 'node:test'

// Loaded before every test file. A test that failed may have left something open, and must not keep its file, and everybody,
// waiting; whoever leaves nothing open has ended long before.
const PATIENCE_MS = 15_000
after(() => void setTimeout(() => process.exit(1), PATIENCE_MS).unref())
