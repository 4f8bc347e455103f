import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startParley } from '../support/app.js';
import { launchChromium } from '../support/chromium.js';
import { isMissing, locationOf, services } from '../support/services.js';

interface Answer {
  readonly data: Readonly<Record<string, unknown>>;
  readonly errors?: unknown;
}

/** GraphiQL in one window, moved by clicks. */
class Window {
  private constructor(readonly page: Page) {}

  static async open(context: BrowserContext, url: string): Promise<Window> {
    const page = await context.newPage();
    await page.goto(`${url}/graphql`);
    await page.getByRole('tab').first().waitFor();
    return new Window(page);
  }

  async openTab(name: string): Promise<void> {
    await this.page.getByRole('button', { name, exact: true }).click();
    await this.page.locator('.graphiql-query-editor', { hasText: name }).waitFor();
  }

  async execute(): Promise<void> {
    await this.page.locator('.graphiql-execute-button').click();
  }

  /** Opens a tab and runs it as it stands. Answers what the server answered over HTTP. */
  async run(name: string): Promise<Answer> {
    await this.openTab(name);
    const response = this.page.waitForResponse((it) =>
      Boolean(it.request().postData()?.includes(`"operationName":"${name}"`)),
    );
    await this.execute();
    return (await (await response).json()) as Answer;
  }

  async tabs(): Promise<(string | null)[]> {
    const buttons = await this.page.locator('.graphiql-tab-button').all();
    return Promise.all(buttons.map((button) => button.textContent()));
  }

  /** Waits until the pane of results shows this. Monaco breaks long lines and writes no plain spaces. */
  async shows(...texts: string[]): Promise<void> {
    const pane = this.page.locator('.graphiql-response');
    const seen = async () => (await pane.innerText()).replaceAll(/\s/g, '');
    for (const text of texts) {
      await expect.poll(seen, { timeout: 15_000, message: text }).toContain(text.replaceAll(/\s/g, ''));
    }
  }

  /** The tab with which the page would open now. */
  storedTab(): Promise<unknown> {
    return this.page.evaluate(
      `JSON.parse(localStorage.getItem('graphiql:tabState') ?? 'null')?.activeTabIndex`,
    );
  }

  status(): Promise<string | null> {
    return this.page.locator('#parley-status').textContent();
  }
}

const examples = [
  'SignUp',
  'MakeRoom',
  'PostMessage',
  'PageMessages',
  'FollowRoom',
  'WatchTyping',
  'StartTyping',
];

describe.skipIf(isMissing(services.chromium))('GraphiQL in Chromium', () => {
  let parley: Awaited<ReturnType<typeof startParley>>;
  let browser: Browser;
  beforeAll(async () => {
    [parley, browser] = await Promise.all([startParley(), launchChromium(locationOf(services.chromium))]);
  });
  afterAll(async () => {
    await browser.close();
    await parley[Symbol.asyncDispose]();
  });

  /** As another program does that is no browser. */
  async function post(token: string, query: string, variables: unknown): Promise<void> {
    const response = await fetch(`${parley.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
    });
    expect(await response.json()).not.toHaveProperty('errors');
  }

  test('the examples run as they stand, from top to bottom, and what others do arrives live', async () => {
    await using context = await browser.newContext();
    const asked = new Set<string>();
    const complaints: string[] = [];
    context.on('request', (request) => asked.add(new URL(request.url()).host));
    context.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    context.on('weberror', (error) => complaints.push(String(error.error())));
    const window = await Window.open(context, parley.url);
    window.page.on('websocket', (socket) => asked.add(new URL(socket.url()).host));

    expect(await window.tabs()).toEqual(examples);
    expect(await window.status()).toBe('signed out');

    const { data: signedUp } = await window.run('SignUp');
    const { accessToken, user } = signedUp['signUp'] as { accessToken: string; user: { handle: string } };
    await expect.poll(() => window.status()).toBe(`signed in as @${user.handle}`);

    const { data: made } = await window.run('MakeRoom');
    const { room } = made['createRoom'] as { room: { id: string } };
    await window.shows(room.id);

    const { data: posted } = await window.run('PostMessage');
    const { message } = posted['postMessage'] as { message: { body: string } };

    expect(await window.run('PageMessages')).not.toHaveProperty('errors');
    await window.shows(message.body, '"totalCount": 1');

    await window.openTab('FollowRoom');
    await window.execute();
    await window.shows('"__typename": "Checkpoint"', '"earlier"', message.body);
    await post(
      accessToken,
      'mutation ($input: PostMessageInput!) { postMessage(input: $input) { eventCursor } }',
      {
        input: { roomId: room.id, body: 'from outside' },
      },
    );
    await window.shows('"body": "from outside"');

    await window.openTab('WatchTyping');
    await window.execute();
    // Typing is never replayed, so it is said again and again until it is seen.
    const typing = setInterval(() => {
      void post(
        accessToken,
        'mutation ($input: SetTypingInput!) { setTyping(input: $input) { expiresAt } }',
        {
          input: { roomId: room.id, typing: true },
        },
      );
    }, 500);
    try {
      await window.shows('"typing": true', user.handle);
    } finally {
      clearInterval(typing);
    }

    expect(await window.run('StartTyping')).not.toHaveProperty('errors');

    expect([...asked].filter((host) => host !== '')).toEqual([new URL(parley.url).host]);
    expect(complaints).toEqual([]);
  });

  test('a second window is the same user, and sees its message arrive in the first', async () => {
    await using context = await browser.newContext();
    const first = await Window.open(context, parley.url);
    await first.run('SignUp');
    await first.run('MakeRoom');
    await first.openTab('FollowRoom');
    await first.execute();
    await first.shows('Checkpoint');

    const second = await Window.open(context, parley.url);
    expect(await second.status()).toBe(await first.status());
    const { data } = await second.run('PostMessage');
    await first.shows((data['postMessage'] as { message: { body: string } }).message.body);
  });

  test('an example that needs the answer of another says so', async () => {
    await using context = await browser.newContext();
    const window = await Window.open(context, parley.url);
    await window.openTab('PostMessage');
    await window.execute();
    await window.shows(String.raw`Run the tab \"MakeRoom\" first`);
  });

  test('a reload keeps the tabs and the session', async () => {
    await using context = await browser.newContext();
    const window = await Window.open(context, parley.url);
    for (const tab of ['SignUp', 'MakeRoom']) {
      expect(await window.run(tab)).not.toHaveProperty('errors');
      await expect.poll(() => window.status()).toMatch(/^signed in as @/);
      const before = await window.status();
      // GraphiQL stores its tabs half a second after the last change.
      await expect.poll(() => window.storedTab()).toBe(examples.indexOf(tab));
      await window.page.reload();
      await window.page.getByRole('tab').first().waitFor();
      expect(await window.tabs()).toEqual(examples);
      expect(await window.status()).toBe(before);
      // It opens on the tab that was open.
      await window.page.getByRole('tab', { name: tab, selected: true }).waitFor();
    }
  });

  test('the documentation explorer shows what the server says of its schema', async () => {
    await using context = await browser.newContext();
    const window = await Window.open(context, parley.url);
    await window.page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await window.page.getByRole('link', { name: 'Subscription', exact: true }).click();
    await window.page.getByText('Everything durable that happens in a room').first().waitFor();
  });
});
