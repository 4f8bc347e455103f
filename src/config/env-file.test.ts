import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnvFile } from './env-file.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(content: string | Buffer) {
  const path = join(folder, '.env');
  await writeFile(path, content);
  return readEnvFile(path);
}

test.each([
  ['as any editor writes it', 'PORT=1\nHOST=x\n'],
  ['with a byte order mark', '\uFEFFPORT=1\nHOST=x\n'],
  ['with the line ends of Windows', 'PORT=1\r\nHOST=x\r\n'],
  ['with the line ends of old Macs', '\uFEFFPORT=1\rHOST=x\r'],
  [
    'with spaces, quotes, comments and export',
    '# all of it\n\n PORT = "1" # a number\nexport HOST=\'x\'\n#A=1',
  ],
])('a file %s sets its variables', async (_what, content) => {
  expect(await read(content)).toEqual({ values: { PORT: '1', HOST: 'x' }, idle: [] });
});

const TEXT = 'PORT=1\nHOST=x\n';
const big = Buffer.from(TEXT, 'utf16le').swap16();

test.each([
  ['UTF-16 with a mark', Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(TEXT, 'utf16le')]), /UTF-16/],
  ['UTF-16 with a mark, big-endian', Buffer.concat([Buffer.of(0xfe, 0xff), big]), /UTF-16/],
  ['UTF-16 without a mark', Buffer.from(TEXT, 'utf16le'), /UTF-16/],
  ['UTF-16 without a mark, big-endian', big, /UTF-16/],
  ['nothing but a mark', Buffer.of(0xff, 0xfe), /UTF-16/],
  ['Latin-1', Buffer.from('POSTGRES_PASSWORD=Grüße\n', 'latin1'), /not in UTF-8/],
])('a file in %s is refused in one line', async (_what, content, said) => {
  await expect(read(content)).rejects.toThrow(said);
});

test('lines that set nothing are named, but not those of a value', async () => {
  const found = await read(
    'PORT: 4000\nHOST 0.0.0.0\nexport DATA_DIR\nA="one\nPORT: two\n"\nB=2\n# C\n\nB\n',
  );
  expect(found?.idle).toEqual([1, 2, 3]);
});

test('there may be none', () => {
  expect(readEnvFile(join(folder, 'none'))).toBeUndefined();
});

test('what is no file is refused with what the system says', () => {
  expect(() => readEnvFile(folder)).toThrow('EISDIR');
});
