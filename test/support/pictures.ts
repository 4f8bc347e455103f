import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { Client } from './client.js';
import { eventually } from './deadline.js';

/** What a server with all that this machine has is started with. */
export const WITH_PREVIEWS = { PREVIEWS: 'true', PATH: process.env['PATH'] ?? '' };

/** Noise, which no encoder makes small. */
export const noise = (width: number, height: number) =>
  sharp({
    create: {
      width,
      height,
      channels: 3,
      background: '#000',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  });

/** What a camera writes into a picture: which one it is, and where it was. */
export const CAMERA = {
  IFD0: { Make: 'Acme Cameras' },
  IFD3: {
    GPSLatitudeRef: 'N',
    GPSLatitude: '51/1 30/1 0/1',
    GPSLongitudeRef: 'W',
    GPSLongitude: '0/1 7/1 0/1',
  },
};

/** A PNG that says it is as large, in a few KB: all its pixels are black. What is beyond 16 MiB of them is missing. */
export function hugePng(width: number, height: number): Buffer<ArrayBuffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // One bit a pixel, grey.
  header.set([1, 0, 0, 0, 0], 8);
  // Each row begins with the number of its filter.
  const bytes = Math.min(height * (1 + Math.ceil(width / 8)), 16 * 1024 * 1024);
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(bytes))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

export const MEDIA = `mimeType
  image { width height thumbhash url(width: 320, height: 240, fit: COVER) }
  video { width height durationMs posterUrl } audio { durationMs } pdf { pages previewUrl }`;

/** The file as it is now, with all that may be known of it. */
export async function media(client: Client, id: string): Promise<any> {
  const { node } = await client.run(`query ($id: ID!) { node(id: $id) { ... on File { ${MEDIA} } } }`, {
    id,
  });
  return node;
}

/** Uploads a file; answers its id. */
export async function put(client: Client, roomId: string, name: string, bytes: BlobPart): Promise<string> {
  const { data } = await client.upload(roomId, name, bytes);
  return data['uploadFile'].file.id as string;
}

/** The same, once something is known of it. */
export async function known(client: Client, roomId: string, name: string, bytes: BlobPart): Promise<any> {
  const id = await put(client, roomId, name, bytes);
  const found = await eventually(60_000, `something is known of ${name}`, async () => {
    const file = await media(client, id);
    return (file.image ?? file.video ?? file.audio ?? file.pdf) === null ? undefined : file;
  });
  return { id, ...found };
}

/** A link to a picture with these arguments. */
export async function linkTo(client: Client, id: string, args: string): Promise<string> {
  const { node } = await client.run(
    `query ($id: ID!) { node(id: $id) { ... on File { image { url${args === '' ? '' : `(${args})`} } } } }`,
    { id },
  );
  return node.image.url as string;
}
