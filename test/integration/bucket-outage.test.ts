import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { untilReadiness } from '../support/readiness.js';
import { eventually } from '../support/deadline.js';
import { stores } from '../support/object-store.js';
import { isMissing, services } from '../support/services.js';
import { namesStored, multipart, oneFile, sql } from '../support/uploads.js';
import { Wire } from '../support/wire.js';

const MIB = 1024 * 1024;
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

describe.skipIf(isMissing(services.postgres) || !stores.includes('s3'))('While the bucket is away', () => {
  let place: Place;
  let app: App;
  /** Between the server and the store. */
  let wire: Wire;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('postgres', 's3');
    wire = await Wire.to(place.env['S3_ENDPOINT'] ?? '');
    app = await startOn(place, { S3_ENDPOINT: wire.url });
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await wire[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const statusOf = async (url: string): Promise<number> => (await fetch(url)).status;

  test('files wait and everything else goes on; back again, nothing is left of what failed', async () => {
    const { data } = await ada.upload(roomId, 'a.txt', 'Leek, potato, salt.');
    const { url } = data['uploadFile'].file;
    const before = await namesStored(place);

    // One is under way, with a part in the bucket.
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(Buffer.concat([PNG, randomBytes(6 * MIB)]));
    await eventually(10_000, 'a part in the bucket', async () =>
      (await namesStored(place)).some((name) => name.endsWith('.part')),
    );
    wire.cut();
    await request.raw(randomBytes(6 * MIB));
    await request.raw('\r\n');
    const { errors } = JSON.parse((await request.end()).body);
    expect(errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }]);

    const refused = await ada.upload(roomId, 'b.txt', 'text');
    expect(refused.errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }]);
    expect(await statusOf(url)).toBe(503);
    expect(await untilReadiness(app.url, 'degraded')).toMatchObject({ code: 200, storage: 'down' });
    expect((await ada.post(roomId, 'The soup is ready')).id).toMatch(/^msg_/);

    wire.mend();
    await untilReadiness(app.url, 'ok');
    expect(await (await fetch(url)).text()).toBe('Leek, potato, salt.');
    // A deletion makes the sweep look, as its clock does from time to time.
    const gone = await ada.upload(roomId, 'c.txt', 'text');
    const { id } = gone.data['uploadFile'].file;
    await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, { id });
    await eventually(10_000, 'nothing is left', async () => {
      expect(await namesStored(place)).toEqual(before);
      expect(await sql(place, 'select storage_key from upload_leases')).toEqual([]);
      return true;
    });
  });
});
