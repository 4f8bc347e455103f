import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { findBinary } from './services/binaries.js';
import type { Service } from './services/service.js';

/** Chromium's binary: the one that CHROMIUM_PATH names, one on the PATH, or the one that Playwright downloaded. */
export function findChromium(): Service {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`CHROMIUM_PATH: there is no ${named}`);
    return { at: named };
  }
  for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
    const path = findBinary(name);
    if (path !== undefined) return { at: path };
  }
  const downloaded = chromium.executablePath();
  if (existsSync(downloaded)) return { at: downloaded };
  return { missing: 'there is no Chromium: install one, or name its binary in CHROMIUM_PATH' };
}

/** Starts the browser that `services.chromium` found. Close it with `await using`. */
export function launchChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    headless: true,
    timeout: 30_000,
    args: [
      // Chromium's sandbox refuses root, and containers often refuse the sandbox.
      '--no-sandbox',
      '--disable-gpu',
      // A test talks to its own server over TCP and to nobody else.
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
