import { expect, test } from './demo.ts'
import { appCard, connect, connectSilently, expectDisconnected, reloadUntil } from './steps.ts'
import { findFreePort } from '../src/storage/embedded/free-port.ts'

test('who ends Notes reads when it confirmed, and Notes says so without a refresh', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  const family = (await page.getByTestId('fam').textContent()) ?? ''
  await connectSilently(page, demo.photos, person)

  await page.goto('/dashboard')
  await page.getByRole('button', { name: 'End this sign-in to Notes' }).click()
  await expect(page.getByRole('status')).toHaveText('That sign-in was ended.')
  const news = page.getByRole('region', { name: 'Just ended' })
  await reloadUntil(page, news, /Notes confirmed (?:on .+ )?at \d\d:\d\d:\d\d UTC\./)
  await appCard(page, 'Notes').getByText('1 ended').click()
  await expect(appCard(page, 'Notes').getByRole('listitem')).toContainText(/You ended it.* Notes confirmed/s)

  await expectDisconnected(page, demo.notes, 'Notes')
  await page.getByRole('link', { name: 'What happened, at Gatehouse' }).click()
  await expect(page).toHaveURL(`${demo.portal}/families/${family}`)
  await expect(page.getByRole('region', { name: 'Whether Notes has heard' })).toContainText('Notes confirmed')

  await page.goto('/dashboard')
  await page.getByRole('button', { name: 'Disconnect Photos' }).click()
  await expect(news).toContainText(
    /Photos takes no notices; its last token stops working (?:on .+ )?at \d\d:\d\d:\d\d UTC\./,
  )
})

test('who ends Notes while it is away reads that, and when it has heard after all', async ({ page, demo, person }) => {
  // The portal's retry delay doubles, and two commands run in between.
  test.slow()
  await connect(page, demo.notes, person)
  const unreachable = `http://127.0.0.1:${await findFreePort()}/backchannel-logout`
  await demo.gatehouse('app', 'update', 'notes', '--backchannel-logout-uri', unreachable)
  try {
    await page.goto('/dashboard')
    await page.getByRole('button', { name: 'Disconnect Notes' }).click()
    const news = page.getByRole('region', { name: 'Just ended' })
    await reloadUntil(
      page,
      news,
      /Notes has not answered; its last token stops working .+ UTC \(\d+ tr(y|ies) so far\)\./,
    )
    await expect(news.getByRole('link', { name: 'Look again' })).toBeVisible()
  } finally {
    await demo.gatehouse('app', 'update', 'notes', '--backchannel-logout-uri', `${demo.notes}backchannel-logout`)
  }
  // Later notifications must not wait behind the one that Notes has not received yet.
  await reloadUntil(page, page.getByRole('region', { name: 'Just ended' }), /Notes confirmed/)
  await expect(page.getByRole('link', { name: 'Look again' })).toBeHidden()
  await expectDisconnected(page, demo.notes, 'Notes')
})
