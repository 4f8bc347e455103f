const END = 0x06_05_4b_50;
const ENTRY = 0x02_01_4b_50;
const ENTRY_BYTES = 46;

/** What a part of an office document is called, and the type of the document that has it. */
const OFFICE_PARTS = new Map<string, string>(
  (
    [
      ['word/document.xml', 'wordprocessingml.document'],
      ['xl/workbook.xml', 'spreadsheetml.sheet'],
      ['ppt/presentation.xml', 'presentationml.presentation'],
    ] as const
  ).map(([part, type]) => [part, `application/vnd.openxmlformats-officedocument.${type}`]),
);

/** Types that an archive may turn out to have at its end. */
export const OFFICE_TYPES: readonly string[] = [...OFFICE_PARTS.values()];

/**
 * The type of the office document whose last bytes these are, by the names in the central directory of
 * the archive (APPNOTE.TXT, section 4.3). Returns undefined for any other archive.
 */
export function officeType(tail: Buffer): string | undefined {
  const end = tail.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 22 > tail.length || tail.readUInt32LE(end) !== END) return undefined;
  let at = Math.max(0, end - tail.readUInt32LE(end + 12));
  // Of a directory longer than what was kept, only the end is here: go to its first whole entry.
  if (tail.readUInt32LE(at) !== ENTRY) at = tail.indexOf(Buffer.from('PK\x01\x02', 'latin1'), at);
  let isOffice = false;
  let hasMacros = false;
  let type: string | undefined;
  while (at >= 0 && at + ENTRY_BYTES <= end && tail.readUInt32LE(at) === ENTRY) {
    const nameLength = tail.readUInt16LE(at + 28);
    const name = tail.toString('latin1', at + ENTRY_BYTES, at + ENTRY_BYTES + nameLength);
    isOffice ||= name === '[Content_Types].xml';
    hasMacros ||= name.endsWith('/vbaProject.bin');
    type ??= OFFICE_PARTS.get(name);
    at += ENTRY_BYTES + nameLength + tail.readUInt16LE(at + 30) + tail.readUInt16LE(at + 32);
  }
  // With macros it has another type, which a server may well not accept.
  return isOffice && !hasMacros ? type : undefined;
}
