// Makes a key pair: private-key.json stays with the app, and public-keys.json is what the portal is given.
import { writeFileSync } from 'node:fs'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'

const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const kid = await calculateJwkThumbprint(await exportJWK(publicKey))
const keys = [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }]
writeFileSync('private-key.json', JSON.stringify({ ...(await exportJWK(privateKey)), kid }), { mode: 0o600 })
writeFileSync('public-keys.json', JSON.stringify({ keys }))
