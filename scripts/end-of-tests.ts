import { after } from 'node:test'

// Loaded before every test file. A failed test may have left something open; its file must end all the same. A file that leaves
// nothing open has ended long before.
const PATIENCE_MS = 15_000
after(() => void setTimeout(() => process.exit(1), PATIENCE_MS).unref())
