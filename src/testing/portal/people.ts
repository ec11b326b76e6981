/** The people of the tests. Their passwords are long. */
export const ada = { username: 'ada', email: 'ada@example.test', password: 'an analytical engine in brass' }
export const grace = { username: 'grace', email: 'grace@example.test', password: 'a moth in relay seventy, panel F' }
