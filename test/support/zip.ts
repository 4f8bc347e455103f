import { crc32, deflateRawSync } from 'node:zlib';

/** A zip of files by their names. */
export function zipSync(files: Readonly<Record<string, Buffer>>): Buffer<ArrayBuffer> {
  const local: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const data = deflateRawSync(content);
    // From `version needed` to `extra length`, the same in both headers.
    const said = Buffer.alloc(26);
    said.writeUInt16LE(20, 0);
    said.writeUInt16LE(8, 4);
    said.writeUInt32LE(crc32(content), 10);
    said.writeUInt32LE(data.length, 14);
    said.writeUInt32LE(content.length, 18);
    said.writeUInt16LE(name.length, 22);
    const entry = [Buffer.from('PK\x03\x04', 'latin1'), said, Buffer.from(name), data];
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    central.push(Buffer.from('PK\x01\x02\x14\0', 'latin1'), said, rest, Buffer.from(name));
    local.push(...entry);
    offset += entry.reduce((sum, { length }) => sum + length, 0);
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...local, directory, end]);
}
