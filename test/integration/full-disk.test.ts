import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { keptSoon, picture, PNG } from '../support/uploads.js';

const MIB = 1024 * 1024;

/** A disk of its own takes a mount, which takes rights that not everyone has. */
function mayMount(): boolean {
  const folder = join(tmpdir(), `parley-mount-${process.pid}`);
  try {
    mkdirSync(folder);
    mount(folder);
    execFileSync('/bin/umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    execFileSync('/bin/rm', ['-rf', '--one-file-system', folder]);
  }
}

function mount(folder: string): void {
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', folder], { stdio: 'ignore' });
}

describe.skipIf(!mayMount())('A disk for files of 20 MiB', () => {
  let place: Place;
  let app: App;
  let folder: string;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace(backends.at(-1)!);
    folder = join(place.dataDir, 'files');
    mkdirSync(folder);
    mount(folder);
    app = await startOn(place);
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    execFileSync('/bin/umount', [folder]);
    await place[Symbol.asyncDispose]();
  });

  const send = async (size: number): Promise<string> => {
    const { data, errors } = await ada.upload(roomId, 'x.png', picture(size));
    return errors[0]?.extensions['code'] ?? data['uploadFile'].file.url;
  };

  test('that is full refuses what does not fit, keeps nothing of it, and the server goes on', async () => {
    expect(await send(30 * MIB)).toBe('UNAVAILABLE');
    await keptSoon(place, ada, roomId, { stored: 0, rows: 0, leases: 0 });
    // Several at once, of which none fits in the end.
    const filler = join(folder, 'filler');
    await writeFile(filler, Buffer.alloc(12 * MIB));
    const sent = await Promise.all(Array.from({ length: 4 }, () => send(10 * MIB)));
    expect(new Set(sent)).toEqual(new Set(['UNAVAILABLE']));
    await rm(filler);
    await keptSoon(place, ada, roomId, { stored: 0, rows: 0, leases: 0 });
    await ada.post(roomId, 'still here');
  });

  test('takes files again once there is room, and serves what it has while there is none', async () => {
    const filler = join(folder, 'filler');
    const url = await send(MIB);
    await writeFile(filler, Buffer.alloc(20 * MIB)).catch(() => undefined);
    expect(await send(PNG.length)).toBe('UNAVAILABLE');
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(MIB);
    await rm(filler);
    expect(await send(10 * MIB)).toContain('/files/');
    await keptSoon(place, ada, roomId, { stored: 2, rows: 2, leases: 0 });
  });
});
