import { describe, expect, test } from 'vitest';
import { startParley } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { signUp } from '../support/client.js';
import { isMissing, locationOf, services } from '../support/services.js';
import { UPLOAD_FILE } from '../support/uploads.js';

describe.skipIf(isMissing(services.chromium))('uploads from a browser', () => {
  test('are told why they were refused, also when they are far larger than what the server reads', async () => {
    await using app = await startParley();
    const ada = await signUp(app.url);
    const roomId = await ada.createRoom();
    await using browser = await launchChromium(locationOf(services.chromium));
    const page = await browser.newPage();
    await page.goto(`${app.url}/livez`);
    for (const mebibytes of [1, 5, 50]) {
      const answer = await page.evaluate(
        async ({ query, roomId, authorization, mebibytes }) => {
          const form = new FormData();
          form.set('operations', JSON.stringify({ query, variables: { input: { roomId, file: null } } }));
          form.set('map', JSON.stringify({ file: ['variables.input.file'] }));
          const noise = Array.from({ length: mebibytes }, () => new Uint8Array(1024 * 1024).fill(1));
          form.set('file', new Blob(noise), 'noise.png');
          const headers = { authorization, 'apollo-require-preflight': 'true' };
          const response = await fetch('/graphql', { method: 'POST', body: form, headers });
          return (await response.json()) as { errors: { extensions: { code: string } }[] };
        },
        { query: UPLOAD_FILE, roomId, authorization: ada.headers()['authorization'] ?? '', mebibytes },
      );
      expect(answer.errors[0]?.extensions.code).toBe('FILE_TYPE_NOT_ALLOWED');
    }
  });
});
