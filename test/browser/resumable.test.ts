import { createRequire } from 'node:module';
import { expect, test, describe } from 'vitest';
import { startParley } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { signUp } from '../support/client.js';
import { createUpload, ended } from '../support/resumable.js';
import { isMissing, locationOf, services } from '../support/services.js';
import { PNG } from '../support/uploads.js';

interface Window {
  readonly tus: {
    readonly Upload: new (file: Blob, options: object) => { start(): void; abort(): Promise<void> };
  };
}

const MIB = 1024 * 1024;
const TUS = createRequire(import.meta.url).resolve('tus-js-client/dist/tus.min.js');

describe.skipIf(isMissing(services.chromium))('resumable uploads from a browser', () => {
  test('are sent by a page of another origin that is allowed, and go on where they were broken off', async () => {
    await using site = await startParley();
    await using app = await startParley('embedded', { CORS_ORIGINS: site.url });
    const ada = await signUp(app.url);
    const roomId = await ada.createRoom();
    const size = 20 * MIB;
    const upload = await createUpload(ada, roomId, size);
    await using browser = await launchChromium(locationOf(services.chromium));
    const page = await browser.newPage();
    await page.goto(`${site.url}/livez`);
    await page.addScriptTag({ path: TUS });
    const send = (cut: number): Promise<string> =>
      page.evaluate(
        async ({ url, token, png, size, cut }) => {
          const { tus } = globalThis as unknown as Window;
          const file = new Blob([new Uint8Array(png), new Uint8Array(size - png.length).fill(7)]);
          return new Promise<string>((resolve) => {
            const sending = new tus.Upload(file, {
              uploadUrl: url,
              headers: { authorization: `Bearer ${token}` },
              chunkSize: 4 * 1024 * 1024,
              retryDelays: null,
              storeFingerprintForResuming: false,
              onChunkComplete: (_size: number, accepted: number) => {
                if (accepted >= cut) void sending.abort().then(() => resolve(`cut behind ${accepted}`));
              },
              onSuccess: () => resolve('sent'),
              onError: (error: Error) => resolve(error.message),
            });
            sending.start();
          });
        },
        { url: upload['url'] as string, token: upload['token'].token as string, png: [...PNG], size, cut },
      );
    expect(await send(8 * MIB)).toBe(`cut behind ${8 * MIB}`);
    expect(await send(Infinity)).toBe('sent');
    expect(await ended(ada, upload['id'])).toMatchObject({
      state: 'DONE',
      file: { size, mimeType: 'image/png' },
    });
  });
});
