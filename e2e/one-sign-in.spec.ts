import pg from 'pg'
import { type Demo, expect, type Person, test } from './demo.ts'
import {
  appCard,
  connect,
  connectSilently,
  expectConnected,
  expectDisconnected,
  fillSignIn,
  openEnded,
  refresh,
} from './steps.ts'

// "Logged into one, logged into all; one expires, all expire."
test.use({ storage: 'postgres', settings: { FAMILY_LIFETIME: 'session' } })

test('one sign-in lets every app in, keeps them while one is used, and takes them with it', async ({
  page,
  demo,
  person,
}) => {
  await connect(page, demo.notes, person)
  await connectSilently(page, demo.photos, person)
  await letDaysPass(demo, person, 10)
  await page.goto(demo.notes)
  await refresh(page)
  // Notes was used in the meantime, so the user has not been away for two weeks.
  await letDaysPass(demo, person, 10)
  await page.goto(demo.photos)
  await expectConnected(page, demo.photos, person)

  await letDaysPass(demo, person, 14)
  await expectDisconnected(page, demo.photos, 'Photos', 'expired')
  await expectDisconnected(page, demo.notes, 'Notes', 'expired')
  await page.goto('/dashboard')
  await expect(page).toHaveURL(/\/login/)

  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await fillSignIn(page, person)
  await expectConnected(page, demo.notes, person)
  await page.goto('/dashboard')
  await expect(appCard(page, 'Notes')).toContainText('this browser')
  await expect(await openEnded(page, 'Photos', 1)).toContainText('the sign-in in the browser had expired.')
})

/** Moves the last use of this user's sign-ins back by so much. */
async function letDaysPass(demo: Demo, person: Person, days: number) {
  const database = new pg.Client({ connectionString: demo.databaseUrl ?? '' })
  await database.connect()
  await database.query(
    `UPDATE identity_sessions SET last_seen_at = last_seen_at - make_interval(days => $2::int),
       review_at = review_at - make_interval(days => $2::int)
     WHERE ended_at IS NULL AND identity_id = (SELECT id FROM identities WHERE username = $1)`,
    [person.username, days],
  )
  await database.end()
}
