import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { bankCertificate, renewedCertificate, selfSigned } from '../../testing/network/certificate.ts'
import { hasSubject, subjectFaults, thumbprintOf } from './client-certificates.ts'

const bank = { certificate: new X509Certificate(bankCertificate), isVerified: true }

for (const subject of [
  String.raw`CN=bänk \"1\",OU=A\+B,O=Bank\, Inc.,C=DE`,
  String.raw`cn=bänk "1" , ou=A\2BB, o=Bank\2C Inc., c=DE`,
  String.raw`2.5.4.3=b\C3\A4nk \221\22,2.5.4.11=A\+B,2.5.4.10=Bank\, Inc.,2.5.4.6=DE`,
]) {
  test(`a certificate has the subject ${subject}`, () => {
    assert.deepEqual(subjectFaults(subject), [])
    assert.equal(hasSubject(bank, subject), true)
  })
}

for (const subject of [
  String.raw`C=DE,O=Bank\, Inc.,OU=A\+B,CN=bänk \"1\"`,
  String.raw`CN=bänk \"1\",OU=A\+B,O=Bank\, Inc.`,
  String.raw`CN=bänk \"1\",OU=A\+B,O=Bank\, Inc.,C=DE,C=DE`,
  String.raw`CN=bänk \"1\"+OU=A\+B,O=Bank\, Inc.,C=DE`,
  String.raw`CN=Bänk \"1\",OU=A\+B,O=Bank\, Inc.,C=DE`,
  String.raw`CN=bänk \"1\",OU=A+B=,O=Bank\, Inc.,C=DE`,
  'CN=notes.example.test',
]) {
  test(`it has not the subject ${subject}`, () => assert.equal(hasSubject(bank, subject), false))
}

test('what is no distinguished name is neither registered nor found', () => {
  for (const subject of [
    '',
    'bank',
    'CN',
    '=x',
    'CN=a,',
    'CN=a,,C=DE',
    'CN=a\\',
    String.raw`CN=\a`,
    `CN=${'x'.repeat(1000)}`,
  ]) {
    assert.equal(subjectFaults(subject).length, 1, subject)
    assert.equal(hasSubject(bank, subject), false)
  }
})

test('the order inside a part makes no difference, and that of parts does', () => {
  const notes = { certificate: new X509Certificate(selfSigned.cert), isVerified: true }
  assert.equal(hasSubject(notes, 'CN=notes.example.test'), true)
  assert.equal(hasSubject(notes, 'CN=notes.example.test+CN=x'), false)
})

test('each certificate has a thumbprint of its own', () => {
  const prints = [bankCertificate, renewedCertificate, selfSigned.cert].map((pem) =>
    thumbprintOf(new X509Certificate(pem)),
  )
  assert.equal(new Set(prints).size, 3)
  for (const print of prints) assert.match(print, /^[\w-]{43}$/)
})
