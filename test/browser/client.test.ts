import { build } from 'esbuild';
import type * as parley from 'parley/client';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startParley } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { signUp, type Client } from '../support/client.js';
import { ROOM_EVENTS } from '../support/live.js';
import { isMissing, locationOf, services } from '../support/services.js';
import { Wire } from '../support/wire.js';

/** What the page of a tab has. */
interface Tab {
  readonly parley: Pick<typeof parley, 'createSocket' | 'inStorage' | 'Session'>;
  session: parley.Session;
  told: string[];
  shown: string[];
}

describe.skipIf(isMissing(services.chromium))('the client library in Chromium', () => {
  let app: Awaited<ReturnType<typeof startParley>>;
  let wire: Wire;
  let browser: Browser;
  let library: string;
  let ada: Client;
  let bob: Client;

  beforeAll(async () => {
    const bundle = build({
      entryPoints: [`${import.meta.dirname}/../../client/index.ts`],
      bundle: true,
      format: 'iife',
      globalName: 'parley',
      write: false,
    });
    [app, browser] = await Promise.all([startParley(), launchChromium(locationOf(services.chromium))]);
    wire = await Wire.to(app.url);
    library = (await bundle).outputFiles[0]!.text;
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
  });
  afterAll(async () => {
    await browser.close();
    await wire[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
  });

  const tokensOf = ({ token, refreshToken }: Client) => ({
    accessToken: token!,
    accessTokenExpiresAt: new Date(Date.now() + 900_000).toISOString(),
    refreshToken,
  });

  /** A tab whose session is in `localStorage`. */
  async function open(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${wire.url}/livez`);
    await page.addScriptTag({ content: library });
    await page.evaluate(() => {
      const tab = globalThis as unknown as Tab;
      tab.told = [];
      tab.shown = [];
      tab.session = new tab.parley.Session('/graphql', tab.parley.inStorage(localStorage), {
        onEnd: () => tab.told.push('end'),
        onChange: () => tab.told.push('change'),
      });
    });
    return page;
  }
  const signIn = (page: Page, user: Client): Promise<void> =>
    page.evaluate((tokens) => (globalThis as unknown as Tab).session.set(tokens), tokensOf(user));
  const told = (page: Page): Promise<string[]> => page.evaluate(() => (globalThis as unknown as Tab).told);

  /** Posts as the tab is signed in. Returns the code of the refusal, or the handle of the one who posted. */
  const post = (page: Page, roomId: string): Promise<string> =>
    page.evaluate(
      async (input) => {
        const { session } = globalThis as unknown as Tab;
        const query =
          'mutation ($input: PostMessageInput!) { postMessage(input: $input) { message { author { handle } } } }';
        const response = await session.fetch(session.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query, variables: { input } }),
        });
        const { data, errors } = await response.json();
        return (errors?.[0].extensions.code ?? data.postMessage.message.author.handle) as string;
      },
      { roomId, body: 'hello' },
    );

  test('a tab never posts as the person who has signed in in another one', async () => {
    await using context = await browser.newContext();
    const roomId = await ada.createRoom();
    await bob.join(roomId);
    const [first, second] = [await open(context), await open(context)];
    await signIn(first, ada);
    await expect.poll(() => told(second)).toEqual(['change']);
    expect(await post(second, roomId)).toBe(ada.handle);

    await signIn(first, bob);
    expect(await told(first)).toEqual(['change']);
    await expect.poll(() => told(second)).toEqual(['change', 'change']);
    expect(await post(second, roomId)).toBe('UNAUTHENTICATED');
    expect(await post(first, roomId)).toBe(bob.handle);
    // Once its caches are clear.
    await second.evaluate(() => (globalThis as unknown as Tab).session.adopt());
    expect(await post(second, roomId)).toBe(bob.handle);

    await first.evaluate(() => (globalThis as unknown as Tab).session.set(undefined));
    await expect.poll(() => told(second)).toEqual(['change', 'change', 'end']);
    expect(await post(second, roomId)).toBe('UNAUTHENTICATED');
  });

  test('a socket connects at once when the browser is on the network again', async () => {
    await using context = await browser.newContext();
    const page = await open(context);
    const carol = await signUp(app.url);
    const roomId = await carol.createRoom();
    await signIn(page, carol);
    await page.evaluate(
      ({ query, roomId, url }) => {
        const tab = globalThis as unknown as Tab;
        const socket = tab.parley.createSocket(url, tab.session);
        socket.on('closed', () => tab.told.push('closed'));
        socket.subscribe<any>(
          { query, variables: { roomId } },
          {
            next: ({ data }) => tab.shown.push(data.roomEvents.message?.body ?? data.roomEvents.__typename),
            error: (error) => tab.told.push(String(error)),
            complete: () => undefined,
          },
        );
      },
      { query: ROOM_EVENTS, roomId, url: `${wire.url}/graphql` },
    );
    const shown = (): Promise<string[]> => page.evaluate(() => (globalThis as unknown as Tab).shown);
    await expect.poll(shown, { timeout: 10_000 }).toEqual(['Checkpoint']);
    wire.cut();
    await context.setOffline(true);
    const failures = async () => (await told(page)).filter((one) => one === 'closed').length;
    // The next wait is eight seconds at least.
    await expect.poll(failures, { timeout: 40_000 }).toBeGreaterThanOrEqual(6);
    wire.mend();
    await carol.post(roomId, 'missed');
    await context.setOffline(false);
    await expect.poll(shown, { timeout: 3_000 }).toContain('missed');
  });
});
