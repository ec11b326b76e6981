import { expect, test } from './demo.ts'
import { connect, connectSilently, expectDisconnected, openEnded, reloadUntil, removeApp } from './steps.ts'
import { findFreePort } from '../src/storage/embedded/free-port.ts'

test('who ends Notes reads when it confirmed, and Notes says so without a refresh', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  const family = (await page.getByTestId('fam').textContent()) ?? ''
  await connectSilently(page, demo.photos, person)

  await page.goto('/dashboard')
  await page.getByRole('button', { name: /^Sign out of Notes in / }).click()
  await expect(page.getByRole('status')).toHaveText('You are signed out of the app in that browser.')
  const news = page.getByRole('region', { name: 'Just signed out' })
  await reloadUntil(page, news, /Notes confirmed the sign-out \(.+\)\./)
  await expect(await openEnded(page, 'Notes', 1)).toContainText(/you ended it.* Notes confirmed/s)

  await expectDisconnected(page, demo.notes, 'Notes')
  await page.getByRole('link', { name: 'What happened, at Gatehouse' }).click()
  await expect(page).toHaveURL(`${demo.portal}/families/${family}`)
  await expect(page.getByRole('region', { name: 'Sign-out status' })).toContainText('Notes confirmed')

  await page.goto('/dashboard')
  await removeApp(page, 'Photos')
  await expect(news).toContainText(/Photos loses access by .+ at the latest\./)
})

test('who ends Notes while it is away reads that, and when it has heard after all', async ({ page, demo, person }) => {
  // The portal's retry delay doubles, and two commands run in between.
  test.slow()
  await connect(page, demo.notes, person)
  const unreachable = `http://127.0.0.1:${await findFreePort()}/backchannel-logout`
  await demo.gatehouse('app', 'update', 'notes', '--backchannel-logout-uri', unreachable)
  try {
    await page.goto('/dashboard')
    await removeApp(page, 'Notes')
    const news = page.getByRole('region', { name: 'Just signed out' })
    await reloadUntil(
      page,
      news,
      /Waiting for Notes to confirm, after (one try|\d+ tries)\. It loses access by .+ at the latest\./,
    )
    await expect(news.getByRole('link', { name: 'Look again' })).toBeVisible()
  } finally {
    await demo.gatehouse('app', 'update', 'notes', '--backchannel-logout-uri', `${demo.notes}backchannel-logout`)
  }
  // Later notifications must not wait behind the one that Notes has not received yet.
  await reloadUntil(page, page.getByRole('region', { name: 'Just signed out' }), /Notes confirmed/)
  await expect(page.getByRole('link', { name: 'Look again' })).toBeHidden()
  await expectDisconnected(page, demo.notes, 'Notes')
})
