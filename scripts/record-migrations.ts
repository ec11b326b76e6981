import { recordMigrations } from './migration-checksums.ts'

// `npm run prisma:record`
for (const name of await recordMigrations()) console.log(`recorded ${name}`)
