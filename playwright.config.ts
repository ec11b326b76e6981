import { defineConfig } from '@playwright/test'

const { CHROMIUM_PATH, CI } = process.env

/** `npm test` says where Chromium is; by hand, without CHROMIUM_PATH, Playwright takes its own. */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  workers: 2,
  retries: 0,
  forbidOnly: Boolean(CI),
  timeout: 60_000,
  // A little less than `npm test` allows, so that the report names what was slow.
  globalTimeout: 12 * 60_000,
  expect: { timeout: 10_000 },
  reporter: 'list',
  use: {
    browserName: 'chromium',
    actionTimeout: 15_000,
    navigationTimeout: 20_000,
    trace: { mode: 'retain-on-failure', screenshots: false },
    screenshot: 'only-on-failure',
    launchOptions: {
      ...(CHROMIUM_PATH ? { executablePath: CHROMIUM_PATH } : {}),
      // Playwright already starts it without its sandbox, first-run pages and background traffic.
      args: ['--disable-gpu', '--disable-quic'],
    },
  },
})
