import { expect, test } from './demo.ts'
import { travel } from './journey.ts'
import { connect } from './steps.ts'

const newcomer = { username: 'grace', email: 'grace@example.test', password: 'a moth in relay seventy, panel F' }

test('register on the way to Notes, use it, disconnect it, and Notes says why it ended', async ({ page, demo }) => {
  await travel(page, demo, newcomer)
})

test('the user name and password that the demo prints open its apps', async ({ page, demo }) => {
  await connect(page, demo.notes, demo.person)
  await expect(page.getByTestId('refreshes')).toHaveText('0')
})
